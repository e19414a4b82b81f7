"""Commands over the registered checkpoints: ``python -m lowbitzoo COMMAND [NAME...]``."""

import sys
from collections.abc import Sequence

from lowbitzoo.neighbour import require_common


def main() -> None:
    """Run the command of this process."""
    try:
        require_common()
    except ImportError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)  # what ends programs is in the package that is not there
    from common.cli import program
    from lowbitzoo.methods import evaluation_of

    program.main(None, evaluation_of, predict)


def predict(words: Sequence[str]) -> None:
    """Classify pictures: by the runtime where a word is a runtime file, else by what MindSpore computes."""
    from common.cli.commands import predict
    from lowbitzoo.runtime import load

    predict.run(words, load, _predict_by_mindspore)


def _predict_by_mindspore(words: Sequence[str]) -> None:
    """Names and checkpoints: ``predict(words)`` of ``lowbitzoo/prediction.py``, where it is there."""
    from common.errors import ConfigError

    raise ConfigError(f"predict: expected a file of export.py --format lowbit, found {words[0]}")


if __name__ == "__main__":
    main()
