"""Custom CPU operators in C++, each with a pure-MindSpore fallback of the same values."""

import importlib

_PLACES = {"AdderConv2d": "adder", "AdderInt8": "adder", "native_available": "build"}
__all__ = ["AdderConv2d", "AdderInt8", "native_available"]


def __getattr__(name: str):
    # Found when asked for: the compiler and the cache of libraries are of use without MindSpore.
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"common.kernels.{_PLACES[name]}"), name)
