"""Export a float network to MINDIR or ONNX, one that train.py has quantized to MINDIR or the runtime's file."""

from common.cli import config, export
from common.cli.entry_point import entry_point
from common.cli.option_parser import OptionParser
from common.stored.network import StoredNetwork
from DAMBQ import options, storage

_NO_ONNX = "every channel has bits of its own, and the levels of weights are no whole numbers times a scale"


def no_onnx(stored: StoredNetwork) -> str | None:
    """Why a network has no ONNX form; None if it has one."""
    return None if stored.kind == "float" else _NO_ONNX


def make_parser() -> OptionParser:
    """Options of this script."""
    return export.add_options(options.eval_parser(), storage.METHOD)


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Load, export, check."""
    args = config.parse(make_parser(), argv)
    network = options.network_options(args)
    export.run(
        export.export_options(args),
        shipped=storage.shipped,
        load=lambda path: storage.load(path, network.arch, network.num_classes),
        integers=storage.FORMAT.integers,
        no_onnx=no_onnx,
    )


if __name__ == "__main__":
    main()
