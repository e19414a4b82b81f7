"""Commands over the registered checkpoints: ``python -m lowbitzoo COMMAND [NAME...]``."""

import sys

from lowbitzoo.neighbour import require_common


def main() -> None:
    """Run the command of this process."""
    try:
        require_common()
    except ImportError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)  # what ends programs is in the package that is not there
    from common.cli.commands.predict import is_runtime_file

    if sys.argv[1:2] == ["predict"] and is_runtime_file(sys.argv[2:]):
        from common.cli.entry_point import entry_point

        entry_point(predict)(sys.argv[2:])  # what other commands import takes longer than a prediction
        return
    from common.cli import program
    from lowbitzoo.methods import evaluation_of

    program.main(None, evaluation_of, FURTHER)


def predict(words: list[str]) -> None:
    """Classify pictures: by the runtime where a word is a runtime file, else by a checkpoint."""
    from common.cli.commands import predict as command
    from lowbitzoo.runtime import load

    command.run(words, load, _predict_by_checkpoint)


def _predict_by_checkpoint(words: list[str]) -> None:
    from lowbitzoo.prediction import command

    command(words)


def sensitivity(words: list[str]) -> None:
    """Measure what bits of each layer cost."""
    from common.cli.commands import sensitivity as command
    from lowbitzoo.networks import load

    command.run(words, load)


def agreement(words: list[str]) -> None:
    """Compare the outputs of two networks."""
    from common.cli.commands import agreement as command
    from lowbitzoo.networks import load

    command.run(words, lambda name, architecture: load(name, architecture=architecture))


def demo(words: list[str]) -> None:
    """Serve a page of networks side by side."""
    from lowbitzoo.demo.command import run

    run(words)


# Commands whose networks this package loads.
FURTHER = {"predict": predict, "sensitivity": sensitivity, "agreement": agreement, "demo": demo}

if __name__ == "__main__":
    main()
