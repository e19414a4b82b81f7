"""Layers that users build networks of, beside MindSpore's own."""

from common.models.adder import Adder2d

__all__ = ["Adder2d"]
