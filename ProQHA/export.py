"""Export a float network, or one whose bits were searched or set, to MINDIR, ONNX or, packed, the runtime's file."""

from dataclasses import replace

from common.cli import config, export
from common.cli.entry_point import entry_point
from common.cli.option_parser import OptionParser
from ProQHA import options, parsers, storage


def make_parser() -> OptionParser:
    """Options of this script."""
    return export.add_options(parsers.eval_parser(), storage.METHOD)


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Load, export, check."""
    args = config.parse(make_parser(), argv)
    choice = options.choice(args)
    export.run(
        replace(export.export_options(args), run=choice.run),
        shipped=storage.shipped,
        load=lambda path: storage.load(path, choice.arch, args.num_classes),
        integers=storage.FORMAT.integers,
    )


if __name__ == "__main__":
    main()
