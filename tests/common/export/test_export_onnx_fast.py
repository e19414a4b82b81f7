"""The fast form: what onnxruntime computes of it is what its grids say, and every convolution is fused."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from fast_emulation import Emulation

from common.engine.description import (
    DepthwiseConv,
    Description,
    FloatConv,
    Grid,
    Image,
    IntegerConv,
    Pool,
    Tail,
    Take,
)
from common.errors import ExportError

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
onnx_model = pytest.importorskip("common.export.onnx_model")
onnx_fast = pytest.importorskip("common.export.onnx_fast")
levels = pytest.importorskip("common.export.onnx_fast_levels")
nodes = pytest.importorskip("common.export.onnx_fast_nodes")

SIDE, CLASSES = 9, 7


def pair(rng, filters, size):
    return rng.normal(0, size, filters), rng.normal(0, 1, filters)


def grid(rng, bits, channels, mixed, steps=None):
    """Of one width, or of widths of 0 to 4 bits by channel; ``steps`` None: of sums that are codes already."""
    if not mixed:
        return Grid(np.full(1, 1 if steps is None else steps, np.float32), np.full(1, 2**bits - 1))
    top = 2 ** rng.integers(0, 5, channels) - 1
    top[:3] = 0, 15, 7
    each = np.ones(1, np.float32) if steps is None else (top * steps / 15).astype(np.float32)
    return Grid(each, top, np.where(top > 0, 105 // np.maximum(top, 1), 1))


def described(seed, bits, mixed, last="float"):
    """A residual network of every step that the fast form has."""
    rng = np.random.default_rng(seed)

    def weight(*shape):
        return rng.integers(-15, 16, shape)

    unit = 0.1 / (105 if mixed else 2**bits - 1)
    first = Tail(pair(rng, 6, 1), relu=True, store="x", codes="q", grid=grid(rng, bits, 6, mixed, 5.0))
    alone = Tail((pair(rng, 8, unit)[0], rng.normal(3, 2, 8)), codes="r", grid=grid(rng, bits, 8, mixed))
    normed = Tail(
        pair(rng, 6, unit),
        residual="x",
        store="y",
        norm=pair(rng, 6, 1),
        active="active",
        codes="s",
        grid=grid(rng, bits, 6, mixed, 4.0),
    )
    folded = Tail(
        pair(rng, 10, unit),
        residual="taken",
        relu=True,
        store="w",
        norm=pair(rng, 10, 3),
        codes="t",
        grid=grid(rng, bits, 10, mixed),
    )
    steps = [
        Image("image", (3, SIDE, SIDE)),
        FloatConv("image", rng.normal(0, 0.3, (6, 3, 3, 3)).astype(np.float32), first, 1, 1),
        IntegerConv("q", weight(8, 6, 3, 3), alone, 1, 1),
        IntegerConv("r", weight(6, 8, 3, 3), normed, 1, 1),
        DepthwiseConv("s", weight(6, 1, 3, 3), Tail(pair(rng, 6, unit), relu=True, store="d"), 1, 1),
        Take("d", Tail(store="taken"), 2, 2, 10),
        IntegerConv("s", weight(10, 6, 3, 3), folded, 2, 1),
        IntegerConv("t", weight(10, 10, 1, 1), Tail(pair(rng, 10, unit), residual="w", store="z")),
        Pool("z", Tail(store="most"), (3, 3), 2, 1, maximum=True),
    ]
    if last == "float":
        steps += [Pool("most", Tail(store="mean"), (3, 3))]
        steps += [FloatConv("mean", rng.normal(0, 1, (CLASSES, 10, 1, 1)), Tail(pair(rng, CLASSES, 1), store="logits"))]
    else:
        steps += [Pool("most", Tail(codes="u", grid=grid(rng, bits, 10, mixed, 3.0)), (3, 3))]
        steps += [IntegerConv("u", weight(CLASSES, 10, 1, 1), Tail(pair(rng, CLASSES, unit), store="logits"))]
    return Description(tuple(steps), "logits")


def pictures(count=16, seed=3):
    return np.random.default_rng(seed).normal(0, 1, (count, 3, SIDE, SIDE)).astype(np.float32)


def made(description):
    """The file's content, and the ranges that it was made with."""
    ranges = onnx_fast.ranges_of(description, pictures(seed=4), CLASSES)
    graph = nodes.FastNodes(description, onnx_model.INPUT, ranges)
    return onnx_model.finish(graph.graph, graph.logits, SIDE, CLASSES), ranges


@pytest.mark.parametrize("last", ["float", "codes"])
@pytest.mark.parametrize("bits, mixed", [(2, False), (4, False), (8, False), (4, True)])
def test_onnxruntime_computes_what_the_grids_say(bits, mixed, last):
    description, images = described(bits, bits, mixed, last), pictures()
    content, ranges = made(description)
    expected = Emulation(description, ranges, images).logits
    logits = onnx_model.decode(content, 1)(images)
    # A value on the middle of two levels would differ by a level; none of these does.
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize("mixed, convolutions", [(False, 8), (True, 16)])
def test_every_convolution_of_codes_is_fused(tmp_path, mixed, convolutions):
    """Five of codes, the first one, two norms; of a mixed grid one more, or two where codes come from 256 levels."""
    content, _ = made(described(1, 4, mixed, "codes"))
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath, options.log_severity_level = str(tmp_path / "fused.onnx"), 3
    onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    found = Counter(node.op_type for node in onnx.load(tmp_path / "fused.onnx").graph.node)
    assert (found["QLinearConv"], found["QGemm"], found["QLinearAdd"]) == (convolutions, 1, 3)
    assert (found["Conv"], found["Gemm"]) == (0, 0)


def test_a_network_without_codes_is_folded_into_float_convolutions():
    rng = np.random.default_rng(0)
    steps = (
        Image("image", (3, SIDE, SIDE)),
        FloatConv(
            "image",
            rng.normal(0, 1, (6, 3, 3, 3)),
            Tail(pair(rng, 6, 1), store="x", norm=pair(rng, 6, 1), active="y"),
            1,
            1,
        ),
        FloatConv(
            "y",
            rng.normal(0, 0.2, (6, 6, 3, 3)),
            Tail(pair(rng, 6, 1), residual="x", relu=True, relu6=True, store="z"),
            1,
            1,
        ),
        Pool("z", Tail(store="mean"), (SIDE, SIDE)),
        FloatConv("mean", rng.normal(0, 1, (CLASSES, 6, 1, 1)), Tail(store="logits")),
    )
    content, ranges = made(Description(steps, "logits"))
    operators = {node.op_type for node in onnx.load_model_from_string(content).graph.node}
    assert not ranges and operators == {"Conv", "Relu", "Add", "Clip", "AveragePool", "Flatten", "Identity"}


@pytest.mark.parametrize(
    "change, expected",
    [
        ({"differences": True}, "sums of absolute differences have none; take --format mindir"),
        ({"multiplier": np.repeat([256, 1], 6)}, "activations of 16 bits have none; take --form exact"),
        (
            {"weight": np.full((8, 6, 3, 3), 256)},
            "expected weights on levels of 8 bits, found up to 256 times their step",
        ),
    ],
)
def test_what_has_no_fast_form_is_refused_in_one_line(change, expected):
    steps = list(described(0, 4, False).steps)
    steps[2] = replace(steps[2], **change)
    with pytest.raises(ExportError, match="ONNX, fast form: ") as caught:
        nodes.FastNodes(Description(tuple(steps), "logits"), "images", None)
    assert expected in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("largest", [1, 127, 128, 255])
def test_filters_are_whole_numbers_of_8_bits(largest):
    rng = np.random.default_rng(largest)
    weight = rng.integers(-largest, largest + 1, (5, 4, 3, 3))
    weight[:, 0, 0, 0] = largest
    factor, offset = np.array([0.01, -0.02, 0.5, 0.0, 1e-12]), np.array([1.0, -2.0, 0.0, 3.0, -4.0])
    found = levels.filters_of(weight, factor, offset, 0.25)
    values = found.weight * found.scale.reshape(-1, 1, 1, 1).astype(np.float64) * 0.25
    step = np.abs(factor) * max(1, largest / 127)
    slack = 0 if largest <= 127 else step.reshape(-1, 1, 1, 1) / 2
    error = np.abs(values - weight * factor.reshape(-1, 1, 1, 1))
    # Of the last two the offset must fit: what is left of 1e-12 is below the smallest step of their sums.
    assert (error <= slack + 1e-6 * np.abs(values) + 4.0 / 2**30).all()
    np.testing.assert_allclose(found.bias * found.bias_scale.astype(np.float64), offset, rtol=1e-6, atol=step.max())
    assert (found.scale > 0).all() and found.weight.dtype == np.int8 and found.bias.dtype == np.int32


@pytest.mark.parametrize("low, high", [(0.0, 3.0), (-1.0, 2.0), (0.5, 2.0), (-3.0, -1.0), (0.0, 0.0)])
def test_the_levels_of_a_range_hold_its_ends_and_0(low, high):
    scale, zero = levels.grid_of(low, high)
    assert scale > 0 and 0 <= zero <= 255
    for value in (low, high, 0.0):
        code = np.rint(value / scale) + zero
        assert -0.5 <= code <= 255.5 and abs((np.clip(code, 0, 255) - zero) * scale - value) <= scale
