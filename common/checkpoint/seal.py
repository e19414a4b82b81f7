"""The seal of a checkpoint: its document and one sha256 over the document and all tensors, kept as two texts.

The keys of both texts appear literally in a sealed file. One damaged spot cannot remove both, so a file that shows
either of them, or what resembles one, must verify: damage never turns a sealed file into one that looks as if it
never had a seal.
"""

import difflib
import hashlib
import itertools
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from common.errors import CheckpointError

PREFIX = "lowbitzoo."
_DOCUMENT = f"{PREFIX}metadata"
_DIGEST = f"{PREFIX}sha256"
_BEGINNING = '{"format":'  # of every document
_ALIKE = 0.7  # of two names, 1: the same
_MOST_COMPARED = 100


def make_seal(tensors: Mapping[str, np.ndarray], document: Mapping[str, Any]) -> dict[str, str]:
    """Give the two texts that seal these tensors and this JSON document.

    Raises:
        CheckpointError: The document is not plain JSON data.
    """
    try:
        text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(f"expected metadata of plain JSON data with finite numbers: {error}") from error
    return {_DOCUMENT: text, _DIGEST: digest(tensors, text)}


def is_sealed(content: bytes, texts: Mapping[str, str]) -> bool:
    """Tell whether a raw file, or the texts in it, show any trace of a seal.

    The names appear literally; several damages at once may leave no more of them than what resembles one.
    """
    if _DOCUMENT.encode() in content or _DIGEST.encode() in content:
        return True
    names = itertools.islice(texts, _MOST_COMPARED)
    return any(text.startswith(_BEGINNING) for text in texts.values()) or any(map(_resembles, names))


def _resembles(name: str) -> bool:
    # Not quick_ratio: it ignores the order of letters.
    pairs = (difflib.SequenceMatcher(None, name[: 2 * len(key)], key) for key in (_DOCUMENT, _DIGEST))
    return any(pair.ratio() > _ALIKE for pair in pairs)


def open_seal(tensors: Mapping[str, np.ndarray], texts: Mapping[str, str]) -> dict[str, Any]:
    """Verify the tensors and give the document.

    Raises:
        CheckpointError: A text is missing, or the content is not what was sealed.
    """
    if _DOCUMENT not in texts or _DIGEST not in texts:
        raise CheckpointError("the file has lost a part of its metadata; it is damaged, copy or download it again")
    if digest(tensors, texts[_DOCUMENT]) != texts[_DIGEST]:
        raise CheckpointError("the content is not what its sha256 says; the file is damaged, copy or download it again")
    return json.loads(texts[_DOCUMENT])


def digest(tensors: Mapping[str, np.ndarray], text: str) -> str:
    """Hex sha256 over the text and, in the order of names, each tensor's name, dtype, shape and bytes.

    A JSON line in front of each run of bytes states its length implicitly, so no two inputs give the same stream.
    """
    sha256 = hashlib.sha256((json.dumps(text) + "\n").encode())
    for name in sorted(tensors):
        array = tensors[name]
        sha256.update((json.dumps([name, array.dtype.name, array.shape]) + "\n").encode())
        sha256.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return sha256.hexdigest()
