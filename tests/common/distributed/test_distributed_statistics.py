"""Statistics that are sums over images: several processes, each on its part of these, find those of one.

The fast tests let processes take turns in this one; the slow one starts real ones.
"""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import distributed_statistics as statistics
import numpy as np
import pytest
from test_distributed import launch

from common import distributed
from common.distributed import processes
from common.distributed.collective import SyncBatchNorm2d
from common.kernels import native_available
from common.kernels.batch_norm_plain import OwnBatchNorm
from common.runtime.context import execution_mode
from common.runtime.hooks import reestimate_batch_norm

PROGRAM = Path(statistics.__file__)


def in_processes(patch, size, work):
    """What ``work()`` gives each of several processes, and all that each of them says.

    They are threads that take turns: each works until it has something to say, then the others do.
    """
    said, turn, together = [[] for _ in range(size)], threading.Lock(), threading.Barrier(size, timeout=300)

    def gathered(values):
        rank = distributed.rank()
        said[rank].append(np.asarray(values, np.float64))
        place = len(said[rank]) - 1
        turn.release()
        try:
            together.wait()
        finally:
            turn.acquire()
            patch.setattr(processes, "_rank", rank)
        return np.array([words[place] for words in said])

    def process(rank):
        with turn:
            patch.setattr(processes, "_rank", rank)
            try:
                return work()
            except BaseException:
                together.abort()  # as the launcher ends the others
                raise

    patch.setattr(processes, "_size", size)
    patch.setattr(processes, "gathered", gathered)
    patch.setattr(distributed, "gathered", gathered)
    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(process, range(size))), said


@pytest.fixture(params=["hessians", "norms", "ranges", "scores"])
def work(request, monkeypatch):
    monkeypatch.setattr(statistics.calibration, "_BATCH", 12)  # comes back afterwards
    with execution_mode("pynative"):
        yield getattr(statistics, request.param)


def test_processes_that_share_the_images_find_what_one_finds(work, monkeypatch):
    """3 processes, more than there are batches; the first thing that they say adds up over images."""
    (one,), (alone,) = in_processes(monkeypatch, 1, work)
    shared, said = in_processes(monkeypatch, 3, work)
    for name, value in one.items():
        np.testing.assert_allclose(shared[0][name], value, rtol=1e-4, atol=1e-5 * np.abs(value).max(), err_msg=name)
        for statistics_of_process in shared:
            np.testing.assert_array_equal(statistics_of_process[name], shared[0][name], err_msg=name)
    parts = np.array([words[0] for words in said])
    np.testing.assert_allclose(parts.sum(0), alone[0], rtol=1e-4, atol=1e-9)
    assert all((part != alone[0]).any() for part in parts)


def test_every_item_is_in_one_share(monkeypatch):
    assert list(distributed.share("abc")) == ["a", "b", "c"]
    shares, _ = in_processes(monkeypatch, 4, lambda: list(distributed.share("abcdef")))
    assert shares == [["a", "e"], ["b", "f"], ["c"], ["d"]]


def test_large_sums_travel_in_pieces(monkeypatch):
    monkeypatch.setattr(processes, "_PIECE", 5)
    values = np.arange(12.0).reshape(3, 4)
    (first, other), (said, _) = in_processes(monkeypatch, 2, lambda: distributed.total(values))
    assert np.array_equal(first, 2 * values) and np.array_equal(other, first) and [v.size for v in said] == [4, 4, 4]


@pytest.mark.parametrize("own", [None, OwnBatchNorm])
def test_batch_norm_is_over_a_process_s_own_batch_while_statistics_are_taken(own):
    """As one of two processes it would divide by twice the count."""
    if own and not native_available():
        pytest.skip("needs a C++ compiler")
    norm = SyncBatchNorm2d(2, own)
    norm.processes = 2
    after, network = SyncBatchNorm2d(2, own), statistics.run.nn.SequentialCell()
    after.processes = 2
    network.append(norm)
    network.append(after)
    images = np.random.default_rng(0).normal(2, 3, (6, 2, 5, 5)).astype(np.float32)
    reestimate_batch_norm(network, [images])
    assert norm.moving_mean.asnumpy() == pytest.approx(images.mean((0, 2, 3)), abs=1e-5)
    assert after.moving_mean.asnumpy() == pytest.approx(np.zeros(2), abs=1e-5)
    assert after.moving_variance.asnumpy() == pytest.approx(np.ones(2), rel=1e-3)
    assert not norm.alone and not after.alone


@pytest.mark.slow
def test_two_processes_of_the_launcher_find_what_one_finds(tmp_path):
    for count in (1, 2):
        done = launch(tmp_path / str(count), count, program=PROGRAM)
        assert done.returncode == 0, done.stderr[-2000:]
    one, first, second = (
        dict(np.load(tmp_path / name)) for name in ("1/found_0.npz", "2/found_0.npz", "2/found_1.npz")
    )
    assert len(one) > 50 and one.keys() == first.keys() == second.keys()
    for name, value in one.items():
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)
        scale = float(np.abs(value).max())
        np.testing.assert_allclose(first[name], value, rtol=1e-4, atol=1e-4 * scale, err_msg=name)
