"""Train a network whose layers choose their bits for each image, or the static one it is compared with.

The run lives in OUTPUT_DIR/RUN_NAME; a run that was killed goes on when the command is given again.
"""

from common.cli import config, method_training
from common.cli.entry_point import entry_point
from DynamicQuant import options
from DynamicQuant.start import save, start

make_parser = options.train_parser


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Train to the last epoch, then write the network to use beside the run's own files."""
    method_training.run(config.parse(make_parser(), argv), options.train_options, start, save)


if __name__ == "__main__":
    main()
