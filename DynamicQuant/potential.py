"""Gain that choosing bits can bring, and how much of it a controller could know, see :mod:`DynamicQuant.gains`.

python potential.py --checkpoint_path outputs/dynamic3/dynamic3.ckpt --dataset_path CIFAR10
"""

from common import report
from common.cli import config
from common.cli.classes import fit, open_images
from common.cli.entry_point import entry_point
from common.cli.run_options import RunOptions, run_options
from common.models.registry import model, preprocessing_of
from DynamicQuant import options, storage
from DynamicQuant.budget import network_costs
from DynamicQuant.frozen import config_of, load_dynamic
from DynamicQuant.gains import study, study_lines
from DynamicQuant.marginals import Marginals, labelled_batches, measure
from DynamicQuant.options import PotentialOptions

make_parser = options.potential_parser


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Measure and print."""
    args = config.parse(make_parser(), argv)
    run(run_options(args), options.potential_options(args))


def run(common: RunOptions, chosen: PotentialOptions) -> None:
    """Measure, print, and write the JSON object."""
    common.device.set_up()
    data, path = common.data, common.checkpoint_path or storage.shipped(common.data.dataset)
    stored = load_dynamic(path, chosen.network.arch, chosen.network.num_classes)
    model(stored.metadata["network"], data.dataset)
    preprocessing = preprocessing_of(data.dataset, stored.metadata)

    def measured(split: str, count: int) -> Marginals:
        source = fit(open_images(data, split), stored.metadata, split)
        images = source.sample(min(count, len(source)), common.seed)
        return measure(stored.network, labelled_batches(images, preprocessing, common.batch_size))

    known, other = measured("train", chosen.images), measured("test", chosen.held_out)
    record = study(known, other, *network_costs(stored.network, config_of(stored), "bitflops"))
    print(*study_lines(record), sep="\n")
    if common.json:
        report.write_json(common.json, {**record, "versions": report.versions(), "config": common.values})


if __name__ == "__main__":
    main()
