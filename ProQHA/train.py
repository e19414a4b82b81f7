"""Train a float network (``--archtype origin``), or one with the same bits everywhere (``--archtype quant``).

The run lives in OUTPUT_DIR/RUN_NAME; a run that was killed goes on when the command is given again.
"""

from functools import partial

from common.cli import config, training
from common.cli.entry_point import entry_point
from common.stored.float_network import StartFile
from ProQHA import options, parsers
from ProQHA.start import float_start, quantized_start, save

make_parser = parsers.train_parser


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Train to the last epoch, then write the network to use beside the run's own files."""
    args = config.parse(make_parser(), argv)
    choice = options.choice(args)
    begin = quantized_start if args.archtype == "quant" else float_start
    chosen = options.training_start(args, choice)
    training.run(
        choice.run,
        options.training_options(args, chosen.arch),
        start=partial(begin, chosen),
        save=save,
        begins=StartFile(chosen.path, chosen.arch),
    )


if __name__ == "__main__":
    main()
