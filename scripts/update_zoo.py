"""Write what the shipped checkpoints are into the registry: size, sha256, preprocessing, level tables, accuracy.

usage: python scripts/update_zoo.py [NAME...] [--check] [--dataset_path DIR]

``--check`` changes nothing, evaluates nothing and fails if an entry is stale. Networks of other data sets than digits
are evaluated only if they have changed or are named, with ``--dataset_path``.
"""

import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from common import checkpoint
from common.cli.entry_point import entry_point
from common.cli.option_parser import OptionParser
from common.cli.typed import path
from common.errors import ConfigError
from common.zoo import registry
from common.zoo.store import path_of, sha256


def with_file(entry: registry.Entry) -> registry.Entry:
    """The entry with what its file says without being evaluated.

    Raises:
        CheckpointError: the file is missing or damaged.
    """
    path = path_of(entry)
    metadata = checkpoint.load(path).metadata
    facts = {"preprocessing": metadata.get("preprocessing"), "levels": metadata.get("packing", {}).get("levels", [])}
    return replace(entry, size=path.stat().st_size, sha256=sha256(path), **facts)


def with_accuracy(entry: registry.Entry, dataset_path: Path | None = None) -> registry.Entry:
    """The entry with what ``eval.py`` of its method measures.

    Raises:
        ConfigError: the evaluation fails, or needs images that are not given.
    """
    if entry.dataset != "digits" and dataset_path is None:
        raise ConfigError(f"{entry.name}: expected --dataset_path DIR with the images of {entry.dataset}, found none")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.json"
        words = ["--checkpoint_path", path_of(entry), *entry.expected["options"].split(), "--json", out]
        words += ["--dataset_path", dataset_path.resolve()] if entry.dataset != "digits" else []
        command = [sys.executable, "eval.py", *map(str, words)]
        done = subprocess.run(command, cwd=registry.ROOT / entry.method, stdout=subprocess.DEVNULL, check=False)
        if done.returncode:
            raise ConfigError(f"{entry.name}: expected an evaluation, found exit status {done.returncode}, see above")
        record = json.loads(out.read_text(encoding="utf-8"))
    return replace(entry, expected={**entry.expected, "accuracy": record["acc"], "samples": record["samples"]})


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Update or check the shipped entries, or those named."""
    parser = OptionParser("Record the shipped checkpoints in the registry.")
    names = "names of the entries; all shipped ones if none is given"
    parser.add_argument("names", nargs="*", metavar="NAME", help=names)
    parser.add_argument("--check", action="store_true", help="change nothing, and fail if an entry is stale")
    parser.add_argument(
        "--dataset_path", type=path, metavar="DIR", help="folder of the data set of other networks than digits"
    )
    args = parser.parse_args(argv)
    chosen = [registry.find(name) for name in args.names] or [e for e in registry.entries().values() if e.shipped]
    stale = []
    for entry in chosen:
        new = with_file(entry)
        if not args.check and (args.names or entry.dataset == "digits" or new != entry):
            new = with_accuracy(new, args.dataset_path)
        if new != entry:
            stale.append(new)
            print(f"{entry.name}: {'stale' if args.check else 'updated'}, accuracy {new.expected['accuracy']:.4f}")
    if args.check and stale:
        raise ConfigError(f"{len(stale)} entries are stale; run python scripts/update_zoo.py")
    if stale:
        registry.write(registry.REGISTRY, (registry.entries() | {entry.name: entry for entry in stale}).values())


if __name__ == "__main__":
    main()
