import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = sorted([*(ROOT / "scripts").glob("*.sh"), ROOT / ".ci" / "run"])

# A Python whose venv and pip only note that they were called; anything else is done by the real one.
FAKE_PYTHON = f"""#!/bin/sh
case "$1 $2 $3" in
"-m venv --clear") echo venv >>"$LOG"; rm -rf "$4"; mkdir -p "$4/bin"; cp "$0" "$4/bin/python" ;;
"-m pip --version") ;;
"-m pip install") echo "pip $PWD" >>"$LOG"; sleep "${{PIP_SECONDS:-0}}"; exit "${{PIP_STATUS:-0}}" ;;
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


@pytest.fixture
def project(tmp_path):
    """A copy of the scripts in a project of its own, so that nothing is really installed."""
    root = tmp_path / "a project"
    shutil.copytree(ROOT / "scripts", root / "scripts")
    for name in ("requirements.txt", "pyproject.toml"):
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


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_syntax_and_form(script):
    assert subprocess.run(["bash", "-n", str(script)]).returncode == 0
    text = script.read_text()
    assert text.startswith("#!/usr/bin/env bash\n") and "set -euo pipefail" in text and os.access(script, os.X_OK)


@pytest.mark.parametrize("option", ["-h", "--help"])
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_help_is_one_usage_line(script, option, tmp_path):
    done = subprocess.run(["bash", str(script), option], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 1)
    assert done.stdout.startswith("usage: scripts/")


@pytest.mark.parametrize("method", [(), ("",), ("Nonesuch",), ("scripts",), ("../a project/AdderQuant",), ("*",)])
@pytest.mark.parametrize("script", ["run_eval.sh", "run_train.sh"])
def test_an_unknown_method_is_one_line(project, script, method):
    executable(project / "DAMBQ" / "train.py", "")
    executable(project / "DAMBQ" / "eval.py", "")
    done = run(project, script, *method)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert ("AdderQuant DAMBQ DynamicQuant LDNQ ProQHA" if script == "run_eval.sh" else "among: DAMBQ;") in done.stderr


@pytest.mark.parametrize("kind", ["eval", "train"])
@pytest.mark.parametrize("venv", [True, False])
def test_a_method_gets_options_folder_and_status(project, venv, kind):
    if venv:
        assert run(project, "setup_env.sh").returncode == 0
    else:
        executable(project.parent / "bin" / "python", FAKE_PYTHON)
    script = "import sys, os; print(sys.argv[1:], os.getcwd()); sys.exit(5)"
    executable(project / "LDNQ" / f"{kind}.py", script)
    done = run(project, f"run_{kind}.sh", "LDNQ/", "--dataset_path", "a b", "-h")
    assert done.stdout == f"{['--dataset_path', 'a b', '-h']} {project.parent}\n" and done.returncode == 5


def test_setup_installs_once(project):
    first = run(project, "setup_env.sh")
    assert first.returncode == 0 and first.stdout == ""
    assert calls(project) == ["venv", "pip"]
    again = run(project, "setup_env.sh", PIP_STATUS="1")
    assert (again.returncode, again.stdout + again.stderr, calls(project)) == (0, "", [])


@pytest.mark.parametrize("name", ["requirements.txt", "pyproject.toml"])
def test_setup_follows_the_requirements(project, name):
    run(project, "setup_env.sh")
    with (project / name).open("a") as file:
        file.write("# changed\n")
    calls(project)
    assert run(project, "setup_env.sh").returncode == 0 and calls(project) == ["pip"]
    assert run(project, "setup_env.sh").returncode == 0 and calls(project) == []


def test_setup_runs_pip_in_the_project(project):
    run(project, "setup_env.sh")
    assert (project.parent / "log").read_text().splitlines()[-1] == f"pip {project}"


def test_setup_repairs_a_broken_environment(project):
    run(project, "setup_env.sh")
    executable(project / ".venv" / "bin" / "python", BROKEN_PYTHON)
    (project / ".venv" / "rest").touch()
    calls(project)
    assert run(project, "setup_env.sh").returncode == 0 and calls(project) == ["venv", "pip"]
    assert not (project / ".venv" / "rest").exists()


def test_setup_starts_anew_after_it_was_killed(project):
    command = ["bash", str(project / "scripts" / "setup_env.sh")]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, env=environment(project, PIP_SECONDS="30"), start_new_session=True, **quiet)
    log = project.parent / "log"
    end = time.monotonic() + 20
    while "pip" not in (log.read_text() if log.exists() else "") and time.monotonic() < end:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert calls(project) == ["venv", "pip"]
    assert run(project, "setup_env.sh").returncode == 0 and calls(project) == ["venv", "pip"]


def test_setup_says_when_pip_fails_and_tries_again(project):
    done = run(project, "setup_env.sh", PIP_STATUS="3")
    assert done.returncode == 3 and "requirements.txt" in done.stderr.splitlines()[-1]
    calls(project)
    assert run(project, "setup_env.sh").returncode == 0 and calls(project) == ["pip"]


def test_setup_keeps_an_environment_it_did_not_make(project):
    executable(project / ".venv" / "bin" / "python", FAKE_PYTHON)
    (project / ".venv" / "kept").touch()
    assert run(project, "setup_env.sh").returncode == 0 and calls(project) == ["pip"]
    assert (project / ".venv" / "kept").exists()


def test_setup_passes_over_a_shim_that_fails(project):
    shims = project.parent / "shims"
    executable(shims / "python3.11", BROKEN_PYTHON)
    done = run(project, "setup_env.sh", PATH=f"{shims}:{project.parent / 'bin'}:{os.defpath}")
    assert done.returncode == 0 and str(project.parent / "bin" / "python3.11") in done.stderr


@pytest.mark.parametrize("text", [BROKEN_PYTHON, "#!/bin/sh\nexit 0\n", None])
def test_setup_names_an_unsuitable_python(project, text):
    python = project.parent / "other python"
    if text:
        executable(python, text)
    done = run(project, "setup_env.sh", PYTHON=str(python))
    assert (done.returncode, done.stderr.count("\n"), calls(project)) == (2, 1, [])
    assert str(python) in done.stderr and "3.11" in done.stderr and not (project / ".venv").exists()


def test_setup_takes_the_given_python(project):
    python = executable(project.parent / "other python", FAKE_PYTHON)
    done = run(project, "setup_env.sh", PYTHON=str(python))
    assert done.returncode == 0 and str(python) in done.stderr and calls(project) == ["venv", "pip"]
    assert run(project, "setup_env.sh", PYTHON=str(python)).returncode == 0 and calls(project) == []


def test_quickstart_ends_with_one_table(project):
    done = run(project, "quickstart.sh")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0].split("  ")[0] == "method" and "top-1 %" in lines[0] and "images/s" in lines[0]
    assert [line.split() for line in lines[2:]] == [
        [method, "-", "digits", str(b), f"{100 * b / 64:.2f}", "360", f"{b * 1000:,}", f"{b}.00", "1234"]
        for method, b in [
            *(("AdderQuant", b) for b in (32, 8, 6, 5, 4)),
            *((method, 2) for method in ("DAMBQ", "DAMBQ", "DynamicQuant", "LDNQ", "LDNQ", "ProQHA", "ProQHA")),
        ]
    ]


def test_quickstart_stops_with_the_status_of_an_evaluation(project):
    (project / "AdderQuant" / "fail").touch()
    done = run(project, "quickstart.sh")
    assert done.returncode == 7 and done.stdout == "" and "a line of the log" in done.stderr


@pytest.mark.parametrize("content", [None, "", "[]", "{", '{"method": "A"}', '{"method": "A", "acc": "x"}'])
def test_quickstart_table_refuses_damaged_files(tmp_path, content):
    if content is not None:
        (tmp_path / "a.json").write_text(content)
    command = [sys.executable, str(ROOT / "scripts" / "quickstart_table.py"), str(tmp_path / "a.json")]
    done = subprocess.run(command, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1) and "a.json" in done.stderr


def test_quickstart_table_shows_what_there_is(tmp_path):
    record = {"method": "DAMBQ", "acc": 1, "bits": [4, 2], "network": "resnet20", "cost": {"model_bytes": "?"}}
    (tmp_path / "a.json").write_text(json.dumps(record))
    command = [sys.executable, str(ROOT / "scripts" / "quickstart_table.py"), str(tmp_path / "a.json")]
    done = subprocess.run(command, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60)
    row = done.stdout.splitlines()[-1].split()
    assert row == ["DAMBQ", "resnet20", "-", "[4,", "2]", "100.00", "-", "-", "-", "-"]
