"""The adder kernels in MindSpore's own operators: any device, slower, the same values (see :mod:`.adder`)."""

from mindspore import Tensor, ops
from mindspore import dtype as mstype

# Elements of the largest intermediate tensor in the gradient for the input; filters are taken in chunks to keep to it.
_CHUNK_ELEMENTS = 1 << 26


def adder_forward(x, w, stride: int, padding: int):
    """-sum |x - w| as the L1 distance between all windows and all filters; (N, F, OH, OW)."""
    n, f = x.shape[0], w.shape[0]
    rows, columns = _output_size(x, w, stride, padding)
    windows = _windows(x, w, stride, padding)  # (N, C KH KW, OH OW)
    taps = windows.shape[1]
    windows = windows.transpose(0, 2, 1).reshape(1, -1, taps)  # (1, N OH OW, C KH KW)
    distance = ops.cdist(windows, w.reshape(1, f, taps), p=1.0)  # (1, N OH OW, F)
    return -distance.reshape(n, rows * columns, f).transpose(0, 2, 1).reshape(n, f, rows, columns)


def adder_grad_input(x, w, dout, stride: int, padding: int):
    """Sum clip(w - x, -1, 1) dout, gathered per window and folded back; the shape of x."""
    windows = _windows(x, w, stride, padding)  # (N, T, P)
    n, taps, pixels = windows.shape
    weights, grads = w.reshape(w.shape[0], taps), dout.reshape(n, w.shape[0], pixels)
    total = ops.zeros_like(windows)
    chunk = max(1, _CHUNK_ELEMENTS // (n * taps * pixels))
    for start in range(0, w.shape[0], chunk):
        stop = min(start + chunk, w.shape[0])
        difference = weights[start:stop].reshape(1, stop - start, taps, 1) - windows.reshape(n, 1, taps, pixels)
        clipped = ops.clamp(difference, -1.0, 1.0) * grads[:, start:stop].reshape(n, stop - start, 1, pixels)
        total = total + ops.reduce_sum(clipped, 1)
    return _fold(total, x, w, stride, padding)


def adder_grad_weight(x, w, dout, stride: int, padding: int):
    """Sum (x - w) dout over images and pixels, before the adaptive rescaling; the shape of w."""
    windows = _windows(x, w, stride, padding)  # (N, T, P)
    n, taps, pixels = windows.shape
    grads = dout.reshape(n, w.shape[0], pixels).transpose(1, 0, 2).reshape(w.shape[0], n * pixels)
    windows = windows.transpose(0, 2, 1).reshape(n * pixels, taps)
    return ops.matmul(grads, windows).reshape(w.shape) - w * ops.reduce_sum(grads, 1).reshape(-1, 1, 1, 1)


def rescaled(gradient):
    """The gradient for w at AdderNet's adaptive rate: its norm becomes 0.2 times the root of its size."""
    norm = ops.sqrt(ops.reduce_sum(gradient * gradient))
    return gradient * (0.2 * gradient.size**0.5 / ops.maximum(norm, 1e-12))


def grouped_adder_sums(x, codes, group, steps, qmax, stride: int, padding: int):
    """Sum |q - codes| with q quantized by each filter's own group; exact integers as float32 (N, F, OH, OW)."""
    codes = codes.astype(mstype.float32)
    total = 0.0
    for i in range(steps.shape[0]):
        q = quantize_input(x, steps[i], qmax)
        chosen = (group == i).astype(mstype.float32).reshape(1, -1, 1, 1)
        total = total - adder_forward(q, codes, stride, padding) * chosen
    return total


def quantize_input(x, step, qmax):
    """round(clip(x / step, 0, qmax)), half to even, as float32."""
    return ops.round(ops.minimum(ops.maximum(x / step, 0.0), qmax))


def _output_size(x, w, stride: int, padding: int) -> tuple[int, int]:
    rows = (x.shape[2] + 2 * padding - w.shape[2]) // stride + 1
    return rows, (x.shape[3] + 2 * padding - w.shape[3]) // stride + 1


def _windows(x, w, stride: int, padding: int):
    """All windows of x as columns, (N, C KH KW, OH OW)."""
    return ops.unfold(x, (w.shape[2], w.shape[3]), 1, padding, stride)


def _fold(windows, x, w, stride: int, padding: int):
    """Add window columns (N, C KH KW, OH OW) into an image of x's shape: the transpose of :func:`_windows`."""
    size = Tensor([x.shape[2], x.shape[3]], mstype.int32)
    return ops.fold(windows, size, (w.shape[2], w.shape[3]), 1, padding, stride)
