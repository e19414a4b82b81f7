"""Train a float AdderNet from scratch; a run that was killed continues when the command is given again."""

from pathlib import Path

from AdderQuant import storage
from AdderQuant.dataset import preprocessing_of
from AdderQuant.network import DEPTHS, adder_resnet
from common.cli import config, training
from common.cli.entry_point import entry_point
from common.cli.option_parser import OptionParser
from common.cli.run_options import run_options
from common.cli.training_options import add_continue, add_sgd, cosine_config
from common.training import Trainer


def make_parser() -> OptionParser:
    """Options of this script."""
    parser = config.build_parser("Train a float AdderNet.", Path(__file__).parent / "config" / "train.yaml", False)
    group = parser.add_argument_group("training")
    group.add_argument("--arch", choices=list(DEPTHS), default="resnet20", help="network to train")
    add_sgd(group, epochs=40, weight_decay=5e-4, rate="first learning rate, cosine to 0")
    add_continue(group, "go on with a run in output_dir that was stopped; --no-continue starts it anew")
    return parser


def save(path: Path, trainer: Trainer) -> str:
    """Write the trained network; returns what it is."""
    about = {"epochs": trainer.config.epochs, "seed": trainer.config.seed}
    about["test_acc"] = trainer.history[-1]["test_acc"]
    storage.save(path, trainer.network, {**trainer.metadata, "training": about})
    return "float"


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Train to the last epoch, then write the network's checkpoint beside the run's own files."""
    args = config.parse(make_parser(), argv)
    arch, name = args.arch, f"adder_{args.arch}_{args.dataset}"

    def start(images: training.Images) -> training.Start:
        about = {"method": storage.METHOD, "kind": "float", "network": arch}
        return training.Start(adder_resnet(arch, images.train.num_classes), about)

    run = training.TrainingOptions(cosine_config(args), args.output_dir, name, args.go_on, args.test_every)
    training.run(run_options(args), run, start=start, save=save, preprocess=preprocessing_of)


if __name__ == "__main__":
    main()
