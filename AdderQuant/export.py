"""Export an AdderNet in float or at 2 to 8 bits to MINDIR; a float one is calibrated first, as eval.py does."""

from dataclasses import replace

from AdderQuant import eval as evaluation
from AdderQuant import storage
from AdderQuant.dataset import preprocessing_of
from AdderQuant.network import ARCHITECTURES
from common.cli import config
from common.cli import export as script
from common.cli.entry_point import entry_point

_NO_ONNX = "ONNX has no operator that sums absolute differences over a window"


def make_parser() -> config.OptionParser:
    """Options of this script."""
    return script.add_options(evaluation.make_parser(), storage.METHOD)


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Load, calibrate where needed, export, check."""
    args = script.setup(make_parser(), argv, storage.embedded)
    found = storage.load(args.checkpoint_path, ARCHITECTURES[args.network], args.num_classes)
    script.prepare(args, args.checkpoint_path, _NO_ONNX)
    stored = evaluation.quantized_network(found, args)
    if args.save_checkpoint:
        storage.save(args.save_checkpoint, stored.network, stored.metadata)

    def again() -> storage.StoredNetwork:
        return replace(stored, network=storage.build(stored.metadata))

    script.export(args, stored, again, preprocessing_of(args.dataset, stored.metadata))


if __name__ == "__main__":
    main()
