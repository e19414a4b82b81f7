"""Limits for the threads of libraries: MindSpore's operators and pipelines, OpenMP, and NumPy's and SciPy's BLAS."""

import contextlib

import mindspore.dataset as ds
from mindspore.device_context.cpu.op_tuning import threads_num


def set_limits(count: int) -> None:
    """Let each library that is loaded compute on at most ``count`` threads from now on.

    Before the first operator: MindSpore makes its threads then. OpenMP and BLAS are reached through threadpoolctl,
    which scikit-learn brings; where it is not there, they keep to ``OMP_NUM_THREADS`` alone.
    """
    with contextlib.suppress(RuntimeError):  # MindSpore takes it once
        threads_num(count)
    ds.config.set_num_parallel_workers(count)
    with contextlib.suppress(ImportError):
        from threadpoolctl import threadpool_limits

        threadpool_limits(count)
