"""The user's cache folder, for what can be made or fetched again."""

import os
from pathlib import Path


def user_cache(part: str) -> Path:
    """``$LOWBITZOO_CACHE/part``, else ``lowbitzoo/part`` in the user's cache folder; not made here."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("LOWBITZOO_CACHE") or Path(cache) / "lowbitzoo") / part
