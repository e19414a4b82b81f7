"""Search bits for every layer's weights and inputs, training between the steps.

The run lives in OUTPUT_DIR/RUN_NAME; a search that was stopped goes on when the command is given again.
"""

from common.cli import config
from common.cli.entry_point import entry_point
from ProQHA import options, parsers, searching

make_parser = parsers.search_parser


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Search to the end, then write the network to use beside the search's own files."""
    args = config.parse(make_parser(), argv)
    choice = options.choice(args)
    searching.run(choice.run, options.search_options(args, choice))


if __name__ == "__main__":
    main()
