"""The README's recipe for several machines, in two network namespaces of this one."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
import two_machines
from test_distribute_scripts import run

from common import checkpoint

TRAINED = ("--epochs", 3, "--train_samples", 128, "--num_samples", 32, "--batch_size", 32, "--output_dir", "outputs")
SECONDS = 300
if why_not := two_machines.obstacle():
    pytest.skip(why_not, allow_module_level=True)


@pytest.fixture
def machines():
    with two_machines.joined() as both:
        yield both


def start(machines, node, script, *words, cwd, **environment):
    """A launch script on one of the machines; the first is the master."""
    recipe = {"NODES": "2", "NODE": str(node), "MASTER": machines[0].address, "PORT": "8118", **environment}
    return machines[node].start(script, "LDNQ", 1, *words, cwd=cwd, **recipe)


def ended(job):
    """Exit status, output and errors of a job, waited for."""
    output, errors = job.communicate(timeout=SECONDS)
    return job.returncode, output, errors


@pytest.mark.slow
def test_two_machines_evaluate_to_the_integers_of_one_though_one_starts_late(machines, tmp_path):
    words = ("--num_samples", 101, "--batch_size", 16, "--json", "found.json")
    (tmp_path / "alone").mkdir()
    assert run("run_eval.sh", "LDNQ", *words, cwd=tmp_path / "alone").returncode == 0
    first = start(machines, 0, "run_distribute_eval.sh", *words, cwd=tmp_path)
    time.sleep(15)
    second = start(machines, 1, "run_distribute_eval.sh", *words, cwd=tmp_path)
    for job in (first, second):
        status, _, errors = ended(job)
        assert status == 0, errors
    one, two = (json.loads((folder / "found.json").read_text()) for folder in (tmp_path / "alone", tmp_path))
    for name in ("acc", "top_5_acc", "samples"):
        assert one[name] == two[name]
    assert one["samples"] == 101 and one["loss"] == pytest.approx(two["loss"], rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("node", [0, 1])
def test_a_machine_that_waits_for_one_that_never_starts_ends_in_time(machines, tmp_path, node):
    begun = time.monotonic()
    status, output, errors = ended(start(machines, node, "run_distribute_eval.sh", cwd=tmp_path, START_SECONDS="20"))
    assert time.monotonic() - begun < 20
    assert (status, output, errors.count("\n")) == (2, "", 1)
    assert "not all 2 processes" in errors or f"no scheduler answers at {machines[0].address}:8118" in errors


@pytest.mark.training
@pytest.mark.parametrize("node", [0, 1])
def test_a_run_whose_machine_dies_goes_on_to_the_bits_of_one_that_lived(machines, tmp_path, node):
    lived, died = tmp_path / "lived", tmp_path / "died"
    for folder in (lived, died):
        folder.mkdir()
    assert [ended(job)[0] for job in trained(machines, lived)] == [0, 0]
    jobs = trained(machines, died)
    wait_for(died / "outputs" / "last.ckpt")
    machines[node].die()
    assert all(ended(job)[0] != 0 for job in jobs)
    assert not (died / "outputs" / "final.ckpt").exists()
    assert [ended(job)[0] for job in trained(machines, died)] == [0, 0]
    one, other = (checkpoint.load(folder / "outputs" / "last.ckpt") for folder in (lived, died))
    assert one.tensors.keys() == other.tensors.keys() and len(one.tensors) > 40
    for name, value in one.tensors.items():
        np.testing.assert_array_equal(value, other.tensors[name], err_msg=name)


def trained(machines, folder):
    """A training of three epochs on both machines, started."""
    return [start(machines, node, "run_distribute_train.sh", *TRAINED, cwd=folder) for node in (0, 1)]


def wait_for(file: Path) -> None:
    """Until a file is there."""
    end = time.monotonic() + SECONDS
    while not file.exists():
        assert time.monotonic() < end, f"{file} has not come"
        time.sleep(0.05)
