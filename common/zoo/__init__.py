"""Registered checkpoints by name: what each is, where its file comes from, whether the file is the right one.

>>> from common import zoo
>>> zoo.find("resnet20-digits").network
'resnet20'
>>> zoo.locate("resnet20-digits").name
'resnet20_digits.ckpt'
"""

from common.zoo.locate import locate, named, near_path
from common.zoo.registry import Entry, entries, find

__all__ = ["Entry", "entries", "find", "locate", "named", "near_path"]
