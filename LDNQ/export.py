"""Export a float network, or one that main.py has quantized, to MINDIR, ONNX or, a packed one, the runtime's file."""

from common.cli import config, export
from common.cli.entry_point import entry_point
from common.cli.option_parser import OptionParser
from LDNQ import options, storage


def make_parser() -> OptionParser:
    """Options of this script."""
    return export.add_options(options.eval_parser(), storage.METHOD)


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Load, export, check."""
    args = config.parse(make_parser(), argv)
    export.run(
        export.export_options(args),
        shipped=storage.shipped,
        load=lambda path: storage.load(path, args.arch, args.num_classes),
        integers=storage.FORMAT.integers,
    )


if __name__ == "__main__":
    main()
