"""Train a float AdderNet from scratch; a run that was killed continues when the command is given again."""

from pathlib import Path

from AdderQuant import options, storage
from AdderQuant.prepare import save
from common.cli import config, training
from common.cli.entry_point import entry_point
from common.cli.run_options import run_options
from common.models.registry import model
from common.stored.network import StoredNetwork
from common.training import Trainer

make_parser = options.train_parser


def save_trained(path: Path, trainer: Trainer) -> str:
    """Write the trained network; returns a short description of it."""
    save(path, StoredNetwork(trainer.network, training.finished_metadata(trainer)))
    return "float"


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Train to the last epoch, then write the network's checkpoint beside the run's own files."""
    args = config.parse(make_parser(), argv)
    arch, trained = args.arch, model(args.arch, args.dataset)

    def start(images: training.Images) -> training.Start:
        about = {"method": storage.METHOD, "kind": "float", "network": arch}
        return training.Start(trained.build(images.train.num_classes), about)

    chosen = options.training_options(args)
    training.run(run_options(args), chosen, start=start, save=save_trained, preprocessing=trained.preprocessing)


if __name__ == "__main__":
    main()
