"""Custom CPU operators in C++, each with a pure-MindSpore fallback of the same values."""

from common.kernels.adder import AdderConv2d, AdderInt8
from common.kernels.build import native_available

__all__ = ["AdderConv2d", "AdderInt8", "native_available"]
