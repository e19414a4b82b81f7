"""Export a float network, or one whose bits were searched or set, to MINDIR or ONNX."""

from common.cli import config, export
from common.cli.entry_point import entry_point
from common.cli.option_parser import OptionParser
from ProQHA import eval as evaluation
from ProQHA import storage
from ProQHA.dataset import chosen_model


def make_parser() -> OptionParser:
    """Options of this script."""
    return export.add_options(evaluation.make_parser(), storage.METHOD)


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Load, export, check."""
    args = config.parse(make_parser(), argv)
    architecture = chosen_model(args)
    export.run(
        export.export_options(args),
        shipped=storage.shipped,
        load=lambda path: storage.load(path, architecture, args.num_classes),
    )


if __name__ == "__main__":
    main()
