"""What the READMEs tell a reader to type works: every option exists, and every block runs, on tiny data."""

import ast
import builtins
import importlib.util
import sys
import warnings
from pathlib import Path

import pytest
from readme_commands import READMES, ROOT, Command, blocks, blocks_in, fenced_commands, spoken_commands
from readme_tiny import NOT_RUN, PREAMBLES, copy_of_repository, parser_of, run, stand_ins, tiny_line

from common import zoo
from common.cli import config

BASH, PYTHON = blocks_in("bash"), blocks_in("python")
FENCED = [command for block in BASH for command in fenced_commands(block)]
RUNNABLE = [block for block in BASH if any(command.text not in NOT_RUN for command in fenced_commands(block))]
SPOKEN = [command for readme in READMES for command in spoken_commands(readme)]


def where(command: Command) -> str:
    return f"{command.where}-{command.words[1]}"


@pytest.mark.parametrize("readme", READMES)
def test_all_fences_are_understood(readme):
    fenced = blocks(readme)
    assert (ROOT / readme).read_text(encoding="utf-8").count("```") == 2 * len(fenced)
    assert {block.language for block in fenced} <= {"", "bash", "python"}
    unnamed = [line for block in fenced if not block.language for line in block.text.splitlines()]
    assert not [line for line in unnamed if line.startswith(("python ", "bash ", "cd ", "$ "))]


def test_what_is_not_run_is_still_printed():
    assert NOT_RUN.keys() <= {command.text for command in FENCED}
    assert PREAMBLES.keys() == {block.readme for block in PYTHON}


@pytest.mark.parametrize("command", FENCED + SPOKEN, ids=where)
def test_options_exist(command, monkeypatch):
    monkeypatch.setattr(zoo, "named", known)
    monkeypatch.setattr(zoo, "near_path", lambda path: "")  # files that a command makes first are absent
    assert (ROOT / command.folder).is_dir()
    script = next((word for word in command.words if word.endswith(".sh")), None)
    assert script is None or (ROOT / (command.folder if command.fenced else ".") / script).is_file()
    try:
        file, options = command.program()
    except ValueError:
        # Nothing to parse: either the table above knows it, or a sentence speaks of a script without options.
        assert command.text in NOT_RUN or (script and not command.fenced)
        return
    assert (ROOT / file).is_file()
    if "--config" in options:  # read where the command is given
        place = options.index("--config") + 1
        options[place] = str(ROOT / command.folder / options[place])
    parsed(file, options)


def known(path: Path, mirrors=None) -> Path:
    """In the place of what would download a registered checkpoint: files have a suffix, names are registered."""
    assert path.suffix or zoo.find(str(path))
    return path


def parsed(file: str, options: list[str]) -> None:
    parser = parser_of(file)
    if parser is None:
        assert not [word for word in options if word.startswith("-")]
    elif "device_target" in getattr(parser, "settable", dict)():
        config.parse(parser, options)
    else:
        names = getattr(parser.parse_args(options), "names", [])
        assert all(zoo.find(name) for name in names)


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_names_in_code_exist(block):
    tree = ast.parse(block.text)
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    exec(compile(ast.Module(imports, []), str(block), "exec"), {})
    assert used(block.text) - defined(block.text) == defined(PREAMBLES[block.readme]) & used(block.text)


def used(code: str) -> set[str]:
    names = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)]
    return {node.id for node in names if isinstance(node.ctx, ast.Load)} - set(dir(builtins))


def defined(code: str) -> set[str]:
    nodes = list(ast.walk(ast.parse(code)))
    names = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    names |= {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    return names | {name.asname or name.name for node in nodes for name in getattr(node, "names", [])}


@pytest.fixture(scope="session")
def stands(tmp_path_factory, small_cifar):
    return stand_ins(tmp_path_factory.mktemp("readme"), small_cifar)


@pytest.mark.slow
@pytest.mark.parametrize("block", RUNNABLE, ids=str)
def test_commands_run(block, tmp_path, stands):
    root = copy_of_repository(tmp_path / "copy", stands)
    for command in filter(can_run, fenced_commands(block)):
        line = tiny_line(command, stands)
        print(f"{command.where}: {line}", flush=True)
        done = run(line, root, command.folder)
        assert done.returncode == 0, f"{command.where}: {line}\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
        if command.program()[0].endswith("/eval.py"):
            assert done.stdout.rstrip().splitlines()[-1].startswith("result: {'acc': "), done.stdout


def can_run(command: Command) -> bool:
    missing = "onnx" in command.words and not importlib.util.find_spec("onnxruntime")
    if missing:
        warnings.warn(f"{command.where}: {command.text} is not run, for it needs onnx and onnxruntime", stacklevel=2)
    return not missing and command.text not in NOT_RUN


@pytest.mark.slow
@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_code_runs(block, tmp_path, stands):
    root, text = copy_of_repository(tmp_path / "copy", stands), block.text
    for name, words in stands.words.items():
        text = text.replace(f'"{name}"', f'"{words[0]}"')
    (root / "block.py").write_text(PREAMBLES[block.readme] + text, encoding="utf-8")
    done = run(f"{sys.executable} block.py", root, ".")
    assert done.returncode == 0, f"{block}\n{done.stderr[-4000:]}"
