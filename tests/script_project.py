"""A copy of the scripts in a project of its own, whose Python only notes that its venv and pip were called."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# A Python whose venv and pip only note that they were called; anything else is done by the real one.
FAKE_PYTHON = f"""#!/bin/sh
case "$1 $2 $3" in
"-m venv --clear") echo venv >>"$LOG"; rm -rf "$4"; mkdir -p "$4/bin"; cp "$0" "$4/bin/python" ;;
"-m pip --version") ;;
"-m pip install")
    for last; do :; done
    echo "pip $last in $PWD" >>"$LOG"; sleep "${{PIP_SECONDS:-0}}"; exit "${{PIP_STATUS:-0}}" ;;
*) exec "{sys.executable}" "$@" ;;
esac
"""
# What an old Python or a shim without its Python does.
BROKEN_PYTHON = "#!/bin/sh\necho 'pyenv: command not found' >&2\nexit 127\n"
EVAL = """
import json, pathlib, sys
bits = int(sys.argv[sys.argv.index("--bits") + 1]) if "--bits" in sys.argv else 2
method = pathlib.Path.cwd().name
if bits == 5 and pathlib.Path("fail").exists():
    print("a line of the log")
    sys.exit(7)
record = {"method": method, "bits": bits, "acc": bits / 64, "samples": 360, "images_per_second": 1234.5,
          "cost": {"average_weight_bits": float(bits), "model_bytes": 1000 * bits}, "config": {"dataset": "digits"}}
pathlib.Path(sys.argv[sys.argv.index("--json") + 1]).write_text(json.dumps(record))
"""


def executable(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def make_project(tmp_path):
    """The project's folder; nothing is really installed there."""
    root = tmp_path / "a project"
    shutil.copytree(ROOT / "scripts", root / "scripts")
    for name in ("requirements.txt", "requirements-dev.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, root)
    executable(tmp_path / "bin" / "python3.11", FAKE_PYTHON)
    for method in ("AdderQuant", "DAMBQ", "DynamicQuant", "LDNQ", "ProQHA"):
        executable(root / method / "eval.py", EVAL)
    return root


def environment(project, **extra):
    bin_folder, log = project.parent / "bin", project.parent / "log"
    path = f"{bin_folder}:{os.defpath}"
    return {"PATH": path, "LOG": str(log), "PYTHONPATH": str(ROOT), "HOME": str(project.parent), **extra}


def run(project, script, *options, **extra):
    command = ["bash", str(project / "scripts" / script), *options]
    return subprocess.run(
        command, env=environment(project, **extra), cwd=project.parent, capture_output=True, text=True, timeout=60
    )


def calls(project):
    log = project.parent / "log"
    text = log.read_text() if log.exists() else ""
    log.unlink(missing_ok=True)
    return [line.split()[0] for line in text.splitlines()]
