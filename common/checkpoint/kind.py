"""Which format a file has, by its content: names of files say nothing."""

import struct
from enum import Enum

from common.errors import CheckpointError
from common.files.recognised import recognised

_ZIP_MAGIC = b"PK\x03\x04"
_PICKLE_MARK, _LAST_PROTOCOL = 0x80, 5
_MESSAGE_MARK = 0x0A  # of the first entry in a MindSpore file: field 1, with a length
_HEADER_SIZE = 8
KNOWN = "MindSpore's .ckpt, .safetensors, PyTorch's state files"


class Kind(Enum):
    """A format of checkpoint files."""

    MINDSPORE = "ckpt"
    SAFETENSORS = "safetensors"
    PYTORCH_ZIP = "zip of PyTorch"
    PYTORCH_LEGACY = "pickles of PyTorch"


PYTORCH = {Kind.PYTORCH_ZIP, Kind.PYTORCH_LEGACY}


def kind_of(content: bytes) -> Kind:
    """The format that the first bytes show.

    Raises:
        CheckpointError: none of those that are read here; what it is instead is said if it is known.
    """
    if content.startswith(_ZIP_MAGIC):
        return Kind.PYTORCH_ZIP
    if len(content) > 1 and content[0] == _PICKLE_MARK and content[1] <= _LAST_PROTOCOL:
        return Kind.PYTORCH_LEGACY
    if _is_safetensors(content):
        return Kind.SAFETENSORS
    if other := recognised(content):
        raise CheckpointError(f"expected a checkpoint ({KNOWN}), found {other}")
    if content[0] == _MESSAGE_MARK:
        return Kind.MINDSPORE
    raise CheckpointError(
        f"expected a checkpoint ({KNOWN}), found neither of them; the file is damaged or of another kind, "
        "copy or download it again"
    )


def _is_safetensors(content: bytes) -> bool:
    if len(content) <= _HEADER_SIZE or content[_HEADER_SIZE : _HEADER_SIZE + 1] != b"{":
        return False
    (size,) = struct.unpack_from("<Q", content)
    return size <= len(content) - _HEADER_SIZE
