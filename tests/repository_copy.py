"""A copy of the repository for commands that write into it."""

import shutil
import subprocess
from pathlib import Path

from common.zoo.registry import ROOT


def tracked_copy(root: Path) -> Path:
    """Copy what git tracks or would, as it is now, into a folder, which is made; returns it."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, root / name)
    return root
