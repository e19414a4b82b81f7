"""Bits chosen for each image by a first pass at fewer bits, measured beside both networks alone, see ``passes.py``.

python train.py --static --bits 2 --run_name two --validation 5000 ...     and --bits 4 --run_name four
python two_passes.py --checkpoint_path outputs/two/two.ckpt --second outputs/four/four.ckpt --target_bits 3 \
    --validation 5000 --dataset_path CIFAR10
"""

from pathlib import Path
from typing import Any

import numpy as np
from mindspore import Tensor, nn

from common import report
from common.cli import config
from common.cli.classes import fit, open_images
from common.cli.entry_point import entry_point
from common.cli.preprocessing import with_preprocessing
from common.cli.run_options import RunOptions, run_options
from common.data import ImageSource, Preprocessing, batches, train_dataset
from common.errors import CheckpointError, ConfigError
from common.evaluation import evaluate_images
from common.models.registry import preprocessing_of
from common.stored.network import StoredNetwork
from DynamicQuant.frozen import config_of, load_frozen
from DynamicQuant.passes import Passes, confidence, share_of, threshold_of
from DynamicQuant.passes_options import PassesOptions, passes_options, passes_parser

make_parser = passes_parser


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Measure and print."""
    args = config.parse(make_parser(), argv)
    run(run_options(args), passes_options(args))


def run(common: RunOptions, chosen: PassesOptions) -> None:
    """Fit the threshold on kept training images, measure on the test images, print, and write the JSON object.

    Raises:
        CheckpointError: a network that is not static, that has learned the images of the threshold, or two of different
            data.
        ConfigError: no first network, or bits that do not fit the target.
    """
    common.device.set_up()
    if common.checkpoint_path is None:
        raise ConfigError("checkpoint_path: expected a static network of fewer bits, found none; give it and --second")
    paths = (common.checkpoint_path, chosen.second)
    first, second = (load_frozen(path, chosen.network.arch, chosen.network.num_classes) for path in paths)
    bits = tuple(_bits(stored, path) for stored, path in zip((first, second), paths))
    share = share_of(*bits, chosen.target)
    first = with_preprocessing(common, first, paths[0])
    preprocessing = preprocessing_of(common.data.dataset, first.metadata)
    if second.metadata.get("preprocessing") != first.metadata.get("preprocessing"):
        raise CheckpointError(f"{paths[1]}: expected the preprocessing of {paths[0]}, found another")

    def logits(stored: StoredNetwork, images: ImageSource) -> np.ndarray:
        return logits_of(stored.network, images, preprocessing, common.batch_size)

    train, test = (fit(open_images(common.data, split), first.metadata, split) for split in ("train", "test"))
    kept = train.hold_out(chosen.validation, common.seed)[1]
    for stored, path in zip((first, second), paths):
        _check_kept(stored, path, len(kept), common.seed)
    if chosen.augmented:
        seen = augmented_logits(first.network, kept, preprocessing, common.batch_size, common.seed)
    else:
        seen = logits(first, kept)
    threshold = threshold_of(confidence(seen), share)
    found = Passes(logits(first, test), logits(second, test), test.labels)
    record = _record(found, threshold, (*bits, chosen.target))
    for name, figures in record["networks"].items():
        print(f"{name}: top-1 {100 * figures['acc']:.2f} %, bit operations {figures['of_static']:.4f} of static")
    print(f"second passes: {100 * record['share']:.2f} % of {len(found.labels)} images, below {threshold:.4f}")
    if common.json:
        report.write_json(common.json, {**record, "versions": report.versions(), "config": common.values})


def logits_of(network: nn.Cell, images: ImageSource, preprocessing: Preprocessing, batch_size: int) -> np.ndarray:
    """Logits (N, K) of all images, in their order."""
    parts: list[np.ndarray] = []
    evaluate_images(
        network, images, preprocessing, batch_size, on_batch=lambda batch, out: parts.append(out[0][batch["valid"]])
    )
    return np.concatenate(parts)


def augmented_logits(
    network: nn.Cell, images: ImageSource, preprocessing: Preprocessing, batch_size: int, seed: int
) -> np.ndarray:
    """Logits (N, K) of a view of each image as trainings see them, but for the last ones that do not fill a batch.

    A float network that has learned an image is surer of it than of others, and so is what is quantized from it. Of a
    view, which is harder than the image, it is less sure again: a budget that views meet is kept on other images.
    """
    network.set_train(False)
    views = batches(train_dataset(images, preprocessing, min(batch_size, len(images)), seed, epoch=0))
    return np.concatenate([network(Tensor(batch["image"])).asnumpy() for batch in views])


def _bits(stored: StoredNetwork, path: Path) -> int:
    settings = config_of(stored)
    if settings is None or not settings.static:
        kind = "a float one" if settings is None else "one whose layers choose"
        raise CheckpointError(f"{path}: expected a static network, found {kind}; train one with train.py --static")
    return settings.bits


def _check_kept(stored: StoredNetwork, path: Path, count: int, seed: int) -> None:
    """Refuse a network that has not kept the images of the threshold: it would be surer of them than of others."""
    training = stored.metadata.get("training", {})
    rule, kept = training.get("selection", "no training"), f"on {count} validation images"
    if not rule.endswith(kept) or training["seed"] != seed:
        raise CheckpointError(
            f"{path}: expected the best network {kept} of seed {seed}, found {rule} of seed {training.get('seed')}; "
            "give --validation and --seed of its training"
        )


def _record(found: Passes, threshold: float, bits: tuple[int, int, int]) -> dict[str, Any]:
    low, high, target = bits
    count, share = len(found.labels), float(found.taken(threshold).mean())
    rows = {
        f"{low} bits": (-np.inf, low**2),
        f"{high} bits": (np.inf, high**2),
        f"{low}, then {high} bits": (threshold, low**2 + share * high**2),
    }
    networks = {
        name: {"acc": found.right(limit) / count, "of_static": cost / target**2} for name, (limit, cost) in rows.items()
    }
    return {"networks": networks, "share": share, "threshold": threshold, "samples": count, "target_bits": target}


if __name__ == "__main__":
    main()
