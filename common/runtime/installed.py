"""Whether MindSpore is there; importable without it."""

import importlib.util

from common.errors import ConfigError


def require_mindspore(what: str) -> None:
    """Refuse to go on without MindSpore.

    Args:
        what: the work that needs it, for the message.

    Raises:
        ConfigError: it is not installed.
    """
    if importlib.util.find_spec("mindspore") is None:
        raise ConfigError(f'{what}: expected MindSpore, found none; pip install "lowbitzoo[mindspore]"')
