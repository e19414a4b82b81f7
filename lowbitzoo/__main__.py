"""Commands over the registered checkpoints: ``python -m lowbitzoo COMMAND [NAME...]``."""

import importlib.util
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
    """Names and checkpoints, by ``command(words)`` of ``lowbitzoo/prediction.py``."""
    from common.errors import ConfigError

    if importlib.util.find_spec("lowbitzoo.prediction") is None:
        raise ConfigError(f"predict: expected a file of export.py --format lowbit, found {words[0]}")
    importlib.import_module("lowbitzoo.prediction").command(words)


if __name__ == "__main__":
    main()
