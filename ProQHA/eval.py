"""Evaluate a float network, or one whose bits were searched or set."""

from common.cli import config, evaluation
from common.cli.entry_point import entry_point
from common.cli.option_parser import OptionParser
from ProQHA import options, parsers, storage
from ProQHA.report import summarize


def make_parser() -> OptionParser:
    """Options of this script."""
    return evaluation.add_options(parsers.eval_parser())


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Load, evaluate, report."""
    args = config.parse(make_parser(), argv)
    choice = options.choice(args)
    evaluation.run(
        choice.run,
        shipped=storage.shipped,
        load=lambda path: storage.load(path, choice.arch, args.num_classes),
        summarize=summarize,
    )


if __name__ == "__main__":
    main()
