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
    from lowbitzoo import runtime as runtime
    from lowbitzoo.catalogue import list_checkpoints, list_models
    from lowbitzoo.exporting import export
    from lowbitzoo.layers import Adder2d
    from lowbitzoo.networks import evaluate, load, quantize, save
    from lowbitzoo.prediction import predict

_MODULES = {
    "list_models": "catalogue",
    "list_checkpoints": "catalogue",
    "load": "networks",
    "evaluate": "networks",
    "quantize": "networks",
    "save": "networks",
    "export": "exporting",
    "predict": "prediction",
    "Adder2d": "layers",
}
__all__ = ["Adder2d", "evaluate", "export", "list_checkpoints", "list_models", "load", "predict", "quantize", "save"]


def __getattr__(name: str) -> Any:
    if name == "runtime":
        return importlib.import_module(f"{__name__}.runtime")
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    require_common()
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
