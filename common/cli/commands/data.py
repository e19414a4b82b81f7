"""Fetching data sets from the pages of their authors into folders that ``--dataset_path`` takes."""

from collections.abc import Sequence
from pathlib import Path

from common.cli import typed
from common.cli.commands.words import command_parser
from common.cli.option_parser import OptionParser
from common.data import archives
from common.data.archives import Archive
from common.errors import CheckpointError, DataError
from common.files.cache import user_cache
from common.zoo.download import download
from common.zoo.store import PlacedEntry, sha256

SUMMARY = "fetch cifar10 or cifar100 into a folder that --dataset_path takes, and print the folder"


def make_parser() -> OptionParser:
    """Which data set, and where to."""
    parser = command_parser("data", SUMMARY, names=False)
    parser.add_argument("name", choices=list(archives.ARCHIVES), help="data set")
    parser.add_argument("dir", nargs="?", type=typed.path, metavar="DIR", help="folder; else one in the cache")
    parser.add_argument("--mirrors", nargs="*", metavar="URL|DIR", help="addresses or folders, tried in order")
    return parser


def run(words: Sequence[str]) -> None:
    """Fetch, check and unpack what is not there; print the folder.

    Raises:
        DataError: the archive cannot be had, or is not the official one.
    """
    args = make_parser().parse_args(words)
    archive, root = archives.ARCHIVES[args.name], args.dir or user_cache("data") / args.name
    if archives.missing(archive, root):
        file = _archive_file(args.name, archive, root)
        if file is None:
            file = _fetched(args.name, archive, root, args.mirrors)
            archives.unpack(archive, file, root)
            file.unlink(missing_ok=True)
        else:
            archives.unpack(archive, file, root)
    print(root)


def _archive_file(name: str, archive: Archive, root: Path) -> Path | None:
    """The archive that the user has put into the folder.

    Raises:
        DataError: it is not the official one.
    """
    file = root / archive.file
    if not file.is_file():
        return None
    digest = sha256(file)
    if digest != archive.sha256:
        raise DataError(
            f"{file}: expected sha256 {archive.sha256}, found {digest}; remove it and run python -m lowbitzoo data "
            f"{name} {root}, or get it anew from {archive.url}"
        )
    return file


def _fetched(name: str, archive: Archive, root: Path, mirrors: Sequence[str] | None) -> Path:
    """The official archive, in the folder.

    Raises:
        DataError: no address gives it; the message says where to put it by hand.
    """
    entry = PlacedEntry(
        name=name,
        method="",
        network="",
        dataset=name,
        bits="",
        levels=[],
        source="external",
        file=archive.file,
        url=archive.url,
        sha256=archive.sha256,
        size=archive.size,
        preprocessing=None,
        expected={},
        recipe=[],
        start=None,
        licence="",
        citation="",
        note="",
        folder=root,
    )
    try:
        return download(entry, mirrors)
    except CheckpointError as error:
        raise DataError(f"{error}; it is published at {archive.url}") from None
