"""scripts/setup_env.sh installs what is missing, once, and says what it cannot do."""

import os
import signal
import subprocess
import time

import pytest
from script_project import BROKEN_PYTHON, FAKE_PYTHON, calls, environment, executable, make_project, run


@pytest.fixture
def project(tmp_path):
    return make_project(tmp_path)


def test_setup_installs_once(project):
    first = run(project, "setup_env.sh")
    assert first.returncode == 0 and first.stdout == ""
    assert calls(project) == ["venv", "pip"]
    again = run(project, "setup_env.sh", PIP_STATUS="1")
    assert (again.returncode, again.stdout + again.stderr, calls(project)) == (0, "", [])


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ((), "requirements.txt"),
        ((), "pyproject.toml"),
        (("--dev",), "requirements.txt"),
        (("--dev",), "requirements-dev.txt"),
    ],
)
def test_setup_follows_the_requirements(project, options, name):
    run(project, "setup_env.sh", *options)
    with (project / name).open("a") as file:
        file.write("# changed\n")
    calls(project)
    assert run(project, "setup_env.sh", *options).returncode == 0 and calls(project) == ["pip"]
    assert run(project, "setup_env.sh", *options).returncode == 0 and calls(project) == []


def test_setup_for_development_adds_to_what_runs(project):
    run(project, "setup_env.sh")
    with (project / "requirements-dev.txt").open("a") as file:
        file.write("# changed\n")
    calls(project)
    assert run(project, "setup_env.sh").returncode == 0 and calls(project) == []
    assert run(project, "setup_env.sh", "--dev").returncode == 0
    assert (project.parent / "log").read_text() == f"pip requirements-dev.txt in {project}\n"
    calls(project)
    for options in ((), ("--dev",)):
        assert run(project, "setup_env.sh", *options).returncode == 0 and calls(project) == []


@pytest.mark.parametrize("options", [("--devel",), ("--dev", "--dev")])
def test_setup_refuses_other_options(project, options):
    done = run(project, "setup_env.sh", *options)
    assert (done.returncode, done.stderr.count("\n"), calls(project)) == (2, 1, [])
    assert "expected --dev" in done.stderr


def test_setup_runs_pip_in_the_project(project):
    run(project, "setup_env.sh")
    assert (project.parent / "log").read_text().splitlines()[-1] == f"pip requirements.txt in {project}"


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


@pytest.mark.parametrize(("options", "file"), [((), "requirements.txt"), (("--dev",), "requirements-dev.txt")])
def test_setup_says_when_pip_fails_and_tries_again(project, options, file):
    done = run(project, "setup_env.sh", *options, PIP_STATUS="3")
    assert done.returncode == 3 and file in done.stderr.splitlines()[-1]
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
