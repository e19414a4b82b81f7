"""Limits for the threads of libraries: MindSpore's operators and pipelines, OpenMP, and NumPy's and SciPy's BLAS."""

import contextlib

import mindspore as ms
import mindspore.dataset as ds


def set_limits(count: int) -> None:
    """Let each library that is loaded compute on at most ``count`` threads from now on.

    Before the first operator: MindSpore makes its threads then. OpenMP and BLAS are reached through threadpoolctl,
    which scikit-learn brings; where it is not there, they keep to ``OMP_NUM_THREADS`` alone.
    """
    with contextlib.suppress(RuntimeError, ValueError):  # MindSpore refuses it once its threads run
        ms.set_context(runtime_num_threads=count)
    ds.config.set_num_parallel_workers(count)
    with contextlib.suppress(ImportError):
        from threadpoolctl import threadpool_limits

        threadpool_limits(count)
