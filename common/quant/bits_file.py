"""Bits of each layer in a file, as ``sensitivity`` plans them and the methods take them: ``--bits_file FILE``.

A JSON object of the layers' names, each with the bits of its weights and of its inputs::

    {"layer1.0.conv1": {"weights": 4, "inputs": 6}, "layer1.0.conv2": {"weights": 3, "inputs": 6}}
"""

import json
from collections.abc import Collection, Mapping
from pathlib import Path

from common.errors import ConfigError
from common.files.atomic_file import write_text

KINDS = ("weights", "inputs")
Bits = dict[str, tuple[int, int]]


def write_bits(path: str | Path, bits: Mapping[str, tuple[int, int]]) -> None:
    """Write the bits of layers, whole or not at all.

    Raises:
        ConfigError: the file cannot be written.
    """
    rows = [f"  {json.dumps(name)}: {json.dumps(dict(zip(KINDS, pair)))}" for name, pair in bits.items()]
    write_text(path, "{\n" + ",\n".join(rows) + "\n}\n")


def read_bits(path: str | Path, layers: Collection[str], low: int, high: int) -> Bits:
    """The bits of a network's layers; what the file says of others is left out, and said.

    Args:
        path: of the file.
        layers: names of all that are quantized: each must be in the file.
        low: least bits of the method.
        high: most of them.

    Raises:
        ConfigError: the file is missing or something else, lacks a layer, or has bits outside the range.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"bits_file: cannot read {path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"bits_file: {path}: expected JSON of layers and their bits, found none ({error})") from None
    if not isinstance(content, dict):
        raise ConfigError(f"bits_file: {path}: expected an object of layers, found {type(content).__name__}")
    if missing := [name for name in layers if name not in content]:
        raise ConfigError(
            f"bits_file: {path}: expected the bits of all {len(layers)} layers, found none of {missing[0]}"
        )
    if others := [name for name in content if name not in layers]:
        print(
            f"bits_file: {len(others)} layers that this method does not quantize are left out: {', '.join(others[:4])}"
        )
    return {name: _pair(path, name, content[name], low, high) for name in layers}


def _pair(path: str | Path, name: str, values: object, low: int, high: int) -> tuple[int, int]:
    bits = [values.get(kind) for kind in KINDS] if isinstance(values, dict) else []
    whole = len(bits) == 2 and all(isinstance(width, int) and not isinstance(width, bool) for width in bits)
    if not whole or not all(low <= width <= high for width in bits):
        raise ConfigError(
            f"bits_file: {path}: {name}: expected weights and inputs of {low} to {high} bits, found {values!r}"
        )
    return bits[0], bits[1]
