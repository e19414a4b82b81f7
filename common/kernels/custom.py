"""Makes MindSpore operators of the functions in the native library."""

import contextlib
from collections.abc import Callable, Iterator

import mindspore as ms
from mindspore import dtype as mstype
from mindspore import ops
from mindspore.ops import signature

from common.kernels import build

_native_allowed = True


@contextlib.contextmanager
def without_native() -> Iterator[None]:
    """Cells that are made in the block take MindSpore's own operators, unless native ones are demanded."""
    global _native_allowed
    before, _native_allowed = _native_allowed, False
    try:
        yield
    finally:
        _native_allowed = before


def use_native(native: bool | None) -> bool:
    """Resolve the choice of implementation: None means native on CPU where it can be had.

    Raises:
        build.BuildError: native kernels are demanded and cannot be had.
    """
    on_cpu = ms.get_context("device_target") == "CPU"
    if native and not (on_cpu and build.native_available()):
        raise build.BuildError("native kernels were demanded, but they need the CPU as device and a C++ compiler")
    return (on_cpu and _native_allowed and build.native_available()) if native is None else native


def operator(function: str, out_shape: Callable, out_dtype: Callable | ms.Type) -> ops.Custom:
    """The operator that calls ``function`` of the native library; shapes are inferred by ``out_shape``.

    Where ``out_shape`` depends on more than the inputs, as that of :func:`conv_shape` does, its ``rule`` says on what.
    """
    path, _ = build.library()
    made = ops.Custom(f"{path}:{function}", out_shape, out_dtype, func_type="aot")
    # PYNATIVE mode remembers output shapes by function, input shapes and attributes: without one that differs, the
    # same inputs at another stride would get the shape, and the memory, of the first.
    made.add_prim_attr("rule", getattr(out_shape, "rule", ""))
    return made


def in_place_operator(function: str, read: int, written: int, read_last: int) -> ops.Custom:
    """The operator that calls ``function``, which changes parameters where they are; its output has no meaning.

    Args:
        function: of the native library.
        read: number of inputs before the parameters.
        written: number of the parameters that it changes.
        read_last: number of inputs after them.
    """
    made = operator(function, lambda *_: [1], mstype.float32)
    made.add_prim_attr("side_effect_mem", True)  # otherwise a graph would run it in any order, or not at all
    kinds = [signature.sig_rw.RW_READ] * read + [signature.sig_rw.RW_WRITE] * written
    kinds += [signature.sig_rw.RW_READ] * read_last
    made.set_signatures([signature.make_sig(f"input{i}", kind) for i, kind in enumerate(kinds)])
    return made


def conv_shape(stride: int, padding: int) -> Callable[..., list[int]]:
    """Shape inference of a convolution: (N, C, H, W) and (F, C, KH, KW) to (N, F, OH, OW)."""

    def infer(x, w, *_):
        rows = (x[2] + 2 * padding - w[2]) // stride + 1
        columns = (x[3] + 2 * padding - w[3]) // stride + 1
        return [x[0], w[0], rows, columns]

    infer.rule = f"stride {stride}, padding {padding}"
    return infer
