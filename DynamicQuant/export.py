"""Export a network to MINDIR; a static or float one also to ONNX, a packed one to the runtime's file."""

from common.cli import config, export
from common.cli.entry_point import entry_point
from common.cli.option_parser import OptionParser
from common.stored.network import StoredNetwork
from DynamicQuant import options, storage
from DynamicQuant.frozen import load_frozen
from DynamicQuant.network import DynamicNetwork

_NO_ONNX = "each image chooses the bits of each layer, and an ONNX graph computes the same for all images of a batch"


def no_onnx(stored: StoredNetwork, _form: str) -> str | None:
    """Why a network has no ONNX file of either form; None if it has one."""
    return _NO_ONNX if isinstance(stored.network, DynamicNetwork) else None


def make_parser() -> OptionParser:
    """Options of this script."""
    return export.add_options(options.stored_parser(), storage.METHOD)


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Load, export, check."""
    args = config.parse(make_parser(), argv)
    network = options.network_options(args)
    export.run(
        export.export_options(args),
        no_onnx=no_onnx,
        shipped=storage.shipped,
        load=lambda path: load_frozen(path, network.arch, network.num_classes),
        integers=storage.FORMAT.integers,
    )


if __name__ == "__main__":
    main()
