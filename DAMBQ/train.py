"""Train a float network, or quantize one step by step: 4 bits from float, 2 bits from 4.

The run lives in OUTPUT_DIR/RUN_NAME; a run that was killed goes on when the command is given again.
"""

from common.cli import config, training
from common.cli.entry_point import entry_point
from common.cli.run_options import run_options
from common.cli.training_options import training_options
from common.stored.float_network import StartFile
from DAMBQ import options
from DAMBQ.start import save, start

make_parser = options.train_parser


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Train to the last epoch, then write the network to use beside the run's own files."""
    args = config.parse(make_parser(), argv)
    chosen, run = options.train_options(args), training_options(args)
    training.run(
        run_options(args),
        run,
        start=lambda images: start(chosen, run.config, images),
        save=save,
        begins=StartFile(chosen.init_from or chosen.pretrained, chosen.arch),
    )


if __name__ == "__main__":
    main()
