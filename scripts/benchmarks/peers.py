"""The environment of the other libraries: an interpreter, and what is installed there."""

import json
import subprocess
import sys
from collections.abc import Iterable

from common.errors import ConfigError

PINNED = {"torch": "2.13.0", "onnxruntime": "1.32.0", "openvino": "2026.4.1", "onnx": ""}
PINNED |= {"torchvision": "0.28.0", "pillow": ""}  # of the data pipelines
_ASK = """
import importlib.metadata, json, sys
found = {}
for name in sys.argv[1:]:
    try:
        found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
print(json.dumps(found))
"""


def versions(python: str | None) -> dict[str, str]:
    """Versions of the packages that are installed for an interpreter; None: this one.

    Raises:
        ConfigError: the interpreter cannot be run.
    """
    words = [python or sys.executable, "-c", _ASK, *PINNED]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise ConfigError(f"peers: expected a Python interpreter, found {words[0]} ({error})") from None
    return json.loads(done.stdout)


def missing(name: str, packages: Iterable[str], installed: Iterable[str]) -> str | None:
    """One line on a candidate that cannot run, and on how to install what it needs; None if all is there."""
    absent = [package for package in packages if package not in installed]
    if not absent:
        return None
    wanted = " ".join(f"{package}=={PINNED[package]}" if PINNED[package] else package for package in absent)
    return f"{name} left out: pip install {wanted} (extra [benchmark]), into an environment that --peers names"
