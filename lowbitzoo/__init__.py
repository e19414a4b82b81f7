"""The door of the zoo: a few verbs over its networks and checkpoints.

>>> import lowbitzoo
>>> "resnet20-digits" in lowbitzoo.list_checkpoints()
True
>>> stored = lowbitzoo.load("dambq-resnet20-digits-w2a2")
>>> round(lowbitzoo.evaluate(stored).accuracy, 4)
0.9889

``python -m lowbitzoo`` gives the same as commands. Importing this package imports nothing else: a verb is imported when
it is first named, MindSpore when a verb needs it (``pip install "lowbitzoo[mindspore]"``).
"""

import importlib
from typing import TYPE_CHECKING, Any

from lowbitzoo.neighbour import require_common

if TYPE_CHECKING:
    from lowbitzoo.catalogue import list_checkpoints, list_models
    from lowbitzoo.networks import evaluate, load, quantize, save

_MODULES = {
    "list_models": "catalogue",
    "list_checkpoints": "catalogue",
    "load": "networks",
    "evaluate": "networks",
    "quantize": "networks",
    "save": "networks",
}
__all__ = ["evaluate", "list_checkpoints", "list_models", "load", "quantize", "save"]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    require_common()
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
