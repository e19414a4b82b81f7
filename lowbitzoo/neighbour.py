"""Check that the package ``common`` that Python finds is the one that belongs to this package."""

import importlib
from pathlib import Path

HOME = Path(__file__).resolve().parents[1]


def require_common() -> None:
    """Refuse another package of the same name.

    Raises:
        ImportError: another one stands before ours in Python's search path, or ours is not there.
    """
    common = importlib.import_module("common")
    places = [Path(place).resolve() for place in common.__path__] if hasattr(common, "__path__") else []
    if HOME / "common" not in places:
        where = getattr(common, "__file__", None) or (places[0] if places else "a module without a file")
        raise ImportError(
            f"lowbitzoo: expected its package 'common' at {HOME / 'common'}, found {where} before it in Python's search"
            " path; rename that one, or start Python in another folder"
        )
