"""Rank correlation of scores with the true cost of lowering single quantizers, see :mod:`ProQHA.ranking`.

python correlation.py --pretrained outputs/float/float.ckpt --bits 8 --interval 5 --dataset_path CIFAR10
"""

import json

from common import report
from common.cli import config
from common.cli.classes import open_train
from common.cli.entry_point import entry_point
from common.cli.preprocessing import of_start
from common.models.registry import preprocessing_of
from common.stored.float_network import classes_in_file
from ProQHA import options, parsers
from ProQHA.ranking import measure

make_parser = parsers.correlation_parser


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Measure and print."""
    args = config.parse(make_parser(), argv)
    choice = options.choice(args)
    choice.run.device.set_up()
    chosen = options.rank_options(args, choice)
    source = open_train(choice.run.data, classes_in_file(chosen.start.path, chosen.start.arch))
    ranks = measure(chosen, source, of_start(choice.run, preprocessing_of(choice.dataset, {}), chosen.start.path))
    true = ranks["true"]
    print(
        f"{len(true)} quantizers lowered by {args.interval} bits, one at a time: loss {ranks['loss']:.4f} on "
        f"{ranks['images']} images, increases {true.min():.4f} to {true.max():.4f}"
    )
    print("rank correlation: " + json.dumps({key: round(value, 3) for key, value in ranks["correlation"].items()}))
    if choice.run.json:
        report.write_json(choice.run.json, ranks)


if __name__ == "__main__":
    main()
