"""Export a float network to MINDIR or ONNX, one that train.py has quantized to MINDIR, ONNX or the runtime's file."""

from pathlib import Path

from common.cli import config, export
from common.cli.entry_point import entry_point
from common.cli.option_parser import OptionParser
from common.stored.network import StoredNetwork
from DAMBQ import options, storage
from DAMBQ.rounding import ROUNDED, rounded

_NO_ONNX = "every channel has bits of its own, and the levels of weights are no whole numbers times a scale"
_NO_FAST = "levels of the table {} are no 8-bit integers (--table int8 rounds those of v2)"


def no_onnx(stored: StoredNetwork, form: str) -> str | None:
    """Why a network has no ONNX file of a form, ``exact`` or ``fast``; None if it has one."""
    if stored.kind == "float":
        return None
    table = stored.metadata["settings"]["table"]
    return _NO_ONNX if form == "exact" else None if table == ROUNDED else _NO_FAST.format(table)


def make_parser() -> OptionParser:
    """Options of this script."""
    return export.add_options(options.add_table(options.eval_parser()), storage.METHOD)


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Load, export, check."""
    args = config.parse(make_parser(), argv)
    network = options.network_options(args)

    def load(path: Path) -> StoredNetwork:
        stored = storage.load(path, network.arch, network.num_classes)
        return rounded(stored) if args.table else stored

    export.run(
        export.export_options(args),
        shipped=storage.shipped,
        load=load,
        integers=storage.FORMAT.integers,
        no_onnx=no_onnx,
    )


if __name__ == "__main__":
    main()
