"""Export an AdderNet in float or at 2 to 8 bits to MINDIR; a float one is calibrated first, as eval.py does."""

from dataclasses import replace

from AdderQuant import eval as evaluation
from AdderQuant import storage
from AdderQuant.dataset import preprocessing_of
from common.cli import config, export
from common.cli.entry_point import entry_point
from common.cli.option_parser import OptionParser

_NO_ONNX = "ONNX has no operator that sums absolute differences over a window"


def make_parser() -> OptionParser:
    """Options of this script."""
    return export.add_options(evaluation.make_parser(), storage.METHOD)


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Load, calibrate where needed, export, check."""
    args = config.parse(make_parser(), argv)

    def ready(stored: storage.StoredNetwork) -> storage.StoredNetwork:
        network = evaluation.quantized_network(stored, args)
        if args.save_checkpoint:
            storage.save(args.save_checkpoint, network.network, network.metadata)
        return network

    export.run(
        export.export_options(args),
        shipped=storage.shipped,
        load=lambda path: storage.load(path, args.network, args.num_classes),
        ready=ready,
        again=lambda stored: replace(stored, network=storage.build(stored.metadata)),
        preprocess=preprocessing_of,
        check=lambda name, dataset: None,
        no_onnx=lambda stored: _NO_ONNX,
    )


if __name__ == "__main__":
    main()
