import json
import os
import subprocess
import sys

import pytest
from script_project import FAKE_PYTHON, ROOT, executable, make_project, run

SCRIPTS = sorted([*(ROOT / "scripts").glob("*.sh"), ROOT / ".ci" / "run"])


@pytest.fixture
def project(tmp_path):
    return make_project(tmp_path)


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
