"""Several processes against one: parameters, gradients, counts; and what happens when one of them dies."""

import json
import math
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from common import checkpoint, distributed

PROGRAM = Path(__file__).parents[2] / "distributed_run.py"
LAUNCHER = "from mindspore.parallel.cluster.run import main; main()"


def launch(folder, processes, *words, program=PROGRAM):
    """Run a program on a folder in so many processes; the finished launcher."""
    folder.mkdir(exist_ok=True)
    words = [sys.executable, str(program), str(folder), *words]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    if processes > 1:
        with socket.socket() as free:
            free.bind(("", 0))
            port = free.getsockname()[1]
        options = [f"--worker_num={processes}", f"--local_worker_num={processes}", f"--master_port={port}"]
        options += [f"--log_dir={folder / 'logs'}", "--join=True", "--cluster_time_out=120"]
        words = [sys.executable, "-c", LAUNCHER, *options, *words[1:]]
    return subprocess.run(words, env=environment, cwd=folder, capture_output=True, text=True, timeout=400)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The run of one process and that of two."""
    runs = []
    for processes in (1, 2):
        folder = tmp_path_factory.mktemp("distributed") / "run"
        done = launch(folder, processes, "ends")
        assert done.returncode == 0, done.stderr[-2000:]
        runs.append(folder)
    return runs


@pytest.fixture(scope="module")
def records(folders):
    one, two = (json.loads((folder / "found.json").read_text()) for folder in folders)
    assert (one["processes"], two["processes"]) == (1, 2)
    return one, two


@pytest.mark.slow
def test_two_processes_train_the_parameters_of_one(folders):
    """The same sums in another order: float32, three epochs of three steps with momentum and clipped gradients."""
    one, two = (checkpoint.load(folder / "last.ckpt") for folder in folders)
    assert one.tensors.keys() == two.tensors.keys() and one.metadata["run"] == two.metadata["run"]
    for name, value in one.tensors.items():
        np.testing.assert_allclose(two.tensors[name], value, rtol=2e-4, atol=2e-6, err_msg=name)
    for a, b in zip(one.metadata["history"], two.metadata["history"], strict=True):
        assert a["acc"] == b["acc"] and a["loss"] == pytest.approx(b["loss"], 1e-5)
        assert a["validation_acc"] == b["validation_acc"] and a.get("test_acc") == b.get("test_acc")


@pytest.mark.slow
def test_two_processes_end_with_the_epoch_of_one(folders, records):
    """Chosen on the same validation images, and tested alone; both processes take it from the file."""
    one, two = (checkpoint.load(folder / "final.ckpt") for folder in folders)
    assert one.metadata["training"] == two.metadata["training"]
    assert one.metadata["training"]["selection"] == "best of 3 epochs on 16 validation images"
    chosen = [[record["epoch"] for record in both["history"] if "test_acc" in record] for both in records]
    assert chosen[0] == chosen[1] == [one.metadata["history"][0]["epoch"]] == [two.metadata["history"][0]["epoch"]]
    for name, value in one.tensors.items():
        np.testing.assert_allclose(two.tensors[name], value, rtol=2e-4, atol=2e-6, err_msg=name)
    assert records[0]["kept"] == records[1]["kept"] == [0, 0, 1, 1, 2, 2, 3, 3]


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["graph", "pynative"])
def test_batch_norm_is_over_all_processes(records, mode):
    one, two = (record["norm"][mode] for record in records)
    np.testing.assert_allclose(two["gradient"], one["gradient"], rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(two["moving"], one["moving"], rtol=1e-5)


@pytest.mark.slow
def test_every_image_counts_once(records):
    """1, 12 and 13 images: more processes than images, and parts that are not full."""
    one, two = (record["sizes"] for record in records)
    for count in ("1", "12", "13"):
        assert two[count][:3] == one[count][:3] and two[count][2] == int(count)
        assert two[count][3] == pytest.approx(one[count][3], rel=1e-4)


@pytest.mark.slow
def test_sums_are_those_of_float64(records):
    values = [2.0**-30 + 1, math.pi, -1e-20, 50_000]
    assert records[0]["exact"] == values and records[1]["exact"] == [2 * value for value in values]


@pytest.mark.training
def test_the_launcher_fails_when_a_process_dies_and_the_run_goes_on(folders, tmp_path):
    killed = launch(tmp_path / "run", 2, "dies")
    assert killed.returncode != 0 and not (tmp_path / "run" / "found.json").exists()
    history = checkpoint.load(tmp_path / "run" / "last.ckpt").metadata["history"]
    assert len(history) == 1
    assert launch(tmp_path / "run", 2, "ends").returncode == 0
    straight, again = (checkpoint.load(folder / "last.ckpt").tensors for folder in (folders[1], tmp_path / "run"))
    for name, value in straight.items():
        np.testing.assert_array_equal(again[name], value, err_msg=name)


def test_one_process_is_itself():
    values = np.arange(6.0).reshape(2, 3)
    assert (distributed.rank(), distributed.size(), distributed.first()) == (0, 1, True)
    assert np.array_equal(distributed.gathered(values), values[None])
    assert np.array_equal(distributed.total(values), values)
    distributed.wait()
