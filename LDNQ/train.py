"""Train a float network to quantize; a run that was killed continues when the command is given again."""

from pathlib import Path

from common.cli import config, training
from common.cli.entry_point import entry_point
from common.cli.option_parser import OptionParser
from common.cli.run_options import run_options
from common.cli.training_options import add_continue, add_pretrained, add_sgd, cosine_config
from common.models.registry import model
from LDNQ.dataset import add_options
from LDNQ.float_training import further, save, start


def make_parser() -> OptionParser:
    """Options of this script; ``--resume`` is the original release's name of ``--continue``."""
    parser = config.build_parser("Train for LDNQ.", Path(__file__).parent / "config" / "train.yaml", False)
    add_options(parser)
    group = parser.add_argument_group("training")
    add_pretrained(group)
    add_sgd(group, epochs=20, weight_decay=5e-4, rate="first learning rate, cosine to 0")
    goes_on = "go on with a run in output_dir; with another --lr: train its best network further, in a folder below"
    add_continue(group, goes_on)
    parser.add_alias("--resume", "--continue")
    return parser


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Train to the last epoch, then write the network's checkpoint beside the run's own files."""
    args = config.parse(make_parser(), argv)
    model(args.arch, args.dataset)
    name = f"{args.arch}_{args.dataset}"
    asked = training.TrainingOptions(cosine_config(args), args.output_dir, name, args.go_on, args.test_every)
    run, pretrained = further(asked, args.pretrained)
    training.run(run_options(args), run, start=lambda images: start(args.arch, pretrained, images), save=save)


if __name__ == "__main__":
    main()
