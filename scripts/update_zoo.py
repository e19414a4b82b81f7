"""Write size, sha256, preprocessing and expected accuracy of the embedded checkpoints into the registry, as they are.

usage: python scripts/update_zoo.py [--check] [NAME...]     (--check changes nothing, evaluates nothing, fails if stale)
"""

import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from common import checkpoint
from common.errors import ConfigError, entry_point
from common.zoo import registry
from common.zoo.store import path_of, sha256


def with_file(entry: registry.Entry) -> registry.Entry:
    """The entry with what its file says without being evaluated.

    Raises:
        CheckpointError: the file is missing or damaged.
    """
    path = path_of(entry)
    preprocessing = checkpoint.load(path).metadata.get("preprocessing")
    return replace(entry, size=path.stat().st_size, sha256=sha256(path), preprocessing=preprocessing)


def with_accuracy(entry: registry.Entry) -> registry.Entry:
    """The entry with what ``eval.py`` of its method measures.

    Raises:
        ConfigError: the evaluation fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.json"
        words = ["--checkpoint_path", path_of(entry), *entry.expected["options"].split(), "--json", out]
        command = [sys.executable, "eval.py", *map(str, words)]
        done = subprocess.run(command, cwd=registry.ROOT / entry.method, stdout=subprocess.DEVNULL, check=False)
        if done.returncode:
            raise ConfigError(f"{entry.name}: expected an evaluation, found exit status {done.returncode}, see above")
        found = json.loads(out.read_text(encoding="utf-8"))
    return replace(entry, expected={**entry.expected, "accuracy": found["acc"], "samples": found["samples"]})


@entry_point
def main(argv: list[str]) -> None:
    """Update or check the embedded entries, or those named."""
    check, names = "--check" in argv, [word for word in argv if word != "--check"]
    chosen = [registry.find(name) for name in names] or [e for e in registry.entries().values() if e.embedded]
    stale = []
    for entry in chosen:
        new = with_file(entry)
        new = new if check else with_accuracy(new)
        if new != entry:
            stale.append(new)
            print(f"{entry.name}: {'stale' if check else 'updated'}, accuracy {new.expected['accuracy']:.4f}")
    if check and stale:
        raise ConfigError(f"{len(stale)} entries are stale; run python scripts/update_zoo.py")
    if stale:
        registry.write(registry.REGISTRY, (registry.entries() | {entry.name: entry for entry in stale}).values())


if __name__ == "__main__":
    main(sys.argv[1:])
