"""The commands and the Python code that the READMEs print, found by parsing them."""

import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from lowbitzoo.methods import method_of

ROOT = Path(__file__).resolve().parents[1]
READMES = ["README.md", *sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("*/README.md"))]

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`((?:python|bash|cd|pip|source)\s[^`]+)`")
_METHOD_SCRIPT = re.compile(r"scripts/run_(distribute_)?(eval|train)\.sh")
_ASSIGNMENT = re.compile(r"[A-Z_]+=")
# What a sentence leaves open, and what it may stand for; [OPTIONS...] and ... stand for nothing.
_PLACEHOLDERS = {"METHOD": "LDNQ", "NAME": "resnet20-digits", "FILE|NAME": "resnet20-digits", "X": "x.ckpt", "B": "8"}


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        readme: its file, relative to the repository.
        line: of its first line of text.
        language: behind the fence, may be empty.
        text: between the fences.
    """

    readme: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.readme}:{self.line}"


@dataclass(frozen=True)
class Command:
    """A command as it is printed.

    Attributes:
        where: file and line.
        words: without its comment.
        folder: where it is given, relative to the repository.
        fenced: whether it stands in a block, and not in a sentence.
    """

    where: str
    words: tuple[str, ...]
    folder: str
    fenced: bool = True

    @property
    def text(self) -> str:
        return shlex.join(self.words)

    def program(self) -> tuple[str, list[str]]:
        """The Python file that runs in the end, relative to the repository, and its options.

        Raises:
            ValueError: it is not known how this command finds a Python file.
        """
        words = [_PLACEHOLDERS.get(word, word) for word in self.words if "..." not in word]
        while _ASSIGNMENT.match(words[0]):
            words = words[1:]
        match words:
            case ["python", "-m", "lowbitzoo", "eval", name, *options]:
                return f"{method_of(name)}/eval.py", ["--checkpoint_path", name, *options]
            case ["python", "-m", "lowbitzoo", command, *options]:
                return f"common/cli/commands/{command}.py", options
            case ["python", "-m", module, *options]:
                return f"{module.replace('.', '/')}/__main__.py", options
            case ["python", file, *options]:
                return self._python_file(file), options
            case ["bash", file, method, *options] if script := _METHOD_SCRIPT.fullmatch(file):
                return f"{method}/{script[2]}.py", options[1 if script[1] else 0 :]  # behind the number of processes
            case ["bash", "scripts/download_checkpoint.sh", *names]:
                return "common/cli/commands/download.py", names
        raise ValueError(f"{self.where}: expected python or a script that starts it, found {self.text}")

    def _python_file(self, file: str) -> str:
        # A sentence says which command, not in which folder: that of its README, else the repository's.
        here = PurePosixPath(self.folder, file)
        return file if not self.fenced and not (ROOT / here).exists() else str(here)


def blocks(readme: str) -> list[Block]:
    """All fenced blocks of a README."""
    text = (ROOT / readme).read_text(encoding="utf-8")
    return [
        Block(readme, text.count("\n", 0, match.start(2)) + 1, match[1], match[2]) for match in _FENCE.finditer(text)
    ]


def blocks_in(language: str) -> list[Block]:
    """The blocks of a language in all READMEs."""
    return [block for readme in READMES for block in blocks(readme) if block.language == language]


def fenced_commands(block: Block) -> list[Command]:
    """The commands of a block in order; what ``cd`` does is in their folders."""
    folder, commands = _folder(block.readme), []
    for line, text in _logical_lines(block):
        folder = _collect(commands, f"{block.readme}:{line}", text, folder, True)
    return commands


def spoken_commands(readme: str) -> list[Command]:
    """The commands in the sentences of a README; such a sentence may go over several lines."""
    text = (ROOT / readme).read_text(encoding="utf-8")
    prose = _FENCE.sub(lambda match: "\n" * match[0].count("\n"), text)
    commands = []
    for match in _SPAN.finditer(prose):
        line = prose.count("\n", 0, match.start()) + 1
        _collect(commands, f"{readme}:{line}", " ".join(match[1].split()), _folder(readme), False)
    return commands


def _folder(readme: str) -> PurePosixPath:
    return PurePosixPath(readme).parent


def _logical_lines(block: Block) -> Iterator[tuple[int, str]]:
    """Number and text of each line, one that ends with a backslash joined with the next."""
    start, text = block.line, ""
    for number, line in enumerate(block.text.splitlines(), block.line):
        start, text = (start, text + line) if text else (number, line)
        if text.endswith("\\"):
            text = text[:-1]
            continue
        yield start, text
        text = ""


def _collect(commands: list[Command], where: str, text: str, folder: PurePosixPath, fenced: bool) -> PurePosixPath:
    """Add the commands of a line; returns the folder behind it."""
    for words in _simple_commands(text):
        if words[0] == "cd":
            folder = folder / words[1]
        else:
            commands.append(Command(where, tuple(words), str(folder), fenced))
    return folder


def _simple_commands(text: str) -> Iterable[list[str]]:
    lexer = shlex.shlex(text, posix=True, punctuation_chars="&;")
    lexer.whitespace_split = True
    words: list[str] = []
    for word in lexer:
        if word == "&&":
            yield words
            words = []
        elif set(word) <= set("&;"):
            raise ValueError(f"expected && between commands, found {word}: {text}")
        else:
            words.append(word)
    if words:
        yield words
