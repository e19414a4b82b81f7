"""Named arrays to a file and back: NumPy alone but for ``network_state``; untrusted input, nothing executed.

Parameters of a network come from and go to arrays by :mod:`common.checkpoint.network_state`.
"""

from common.checkpoint.store import Checkpoint, load, require_metadata, save

__all__ = ["Checkpoint", "load", "require_metadata", "save"]
