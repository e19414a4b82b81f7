"""Train a float network to quantize; a run that was killed continues when the command is given again."""

from common.cli import config, training
from common.cli.entry_point import entry_point
from common.cli.run_options import run_options
from common.stored.float_network import StartFile
from LDNQ import options
from LDNQ.start import further, start

make_parser = options.train_parser


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Train to the last epoch, then write the network's checkpoint beside the run's own files."""
    args = config.parse(make_parser(), argv)
    chosen, pretrained = further(options.training_options(args), args.pretrained)
    training.run(
        run_options(args),
        chosen,
        start=lambda images: start(args.arch, pretrained, images),
        save=training.save_float,
        begins=StartFile(pretrained, args.arch),
    )


if __name__ == "__main__":
    main()
