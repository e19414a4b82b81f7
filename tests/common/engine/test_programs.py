"""Programs: the interpreter and every instruction set give the same bits; their integers are those of brute force."""

from dataclasses import replace

import numpy as np
import pytest
from random_networks import random_network

from common.engine import tensors as engine_tensors
from common.engine.compiler import compile_network
from common.engine.description import Choose, Description, FloatConv, Grid, Image, IntegerConv, Pool, Tail
from common.engine.interpreter import interpret, tensors
from common.engine.layout import NONE
from common.engine.run import run, set_threads
from common.errors import ConfigError, QuantizationError

PROGRAMS, PART = 320, 20
PARTS = [pytest.param(at, marks=pytest.mark.slow if at % (2 * PART) else ()) for at in range(0, PROGRAMS, PART)]


def bits_of(values):
    return np.ascontiguousarray(values).view(np.int32)


@pytest.mark.parametrize("first", PARTS)
def test_all_instruction_sets_give_the_interpreters_bits(engine_sets, images, first):
    for seed in range(first, first + PART):
        description = random_network(seed)
        program, x = compile_network(description), images(description, seed=seed)
        expected = interpret(program, x)
        assert np.isfinite(expected).all()
        for name in engine_sets:
            assert np.array_equal(bits_of(expected), bits_of(run(program, x, name))), (seed, name)


@pytest.mark.slow
def test_thousands_of_programs(engine_sets, images):
    refused = []
    for seed in range(PROGRAMS, PROGRAMS + 3000):
        description = random_network(seed)
        try:
            program = compile_network(description)
        except QuantizationError as error:  # the largest weights in the largest kernels of the random ones
            assert "below 2^31" in str(error)
            refused.append(seed)
            continue
        x = images(description, seed=seed)
        expected = bits_of(interpret(program, x))
        assert all(np.array_equal(expected, bits_of(run(program, x, name))) for name in engine_sets), seed
    assert len(refused) < 10


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_change_nothing(engine_sets, images, threads):
    description = random_network(5)
    program, x = compile_network(description), images(description, 7)
    set_threads(threads)
    try:
        assert np.array_equal(run(program, x), interpret(program, x))
    finally:
        set_threads(0)


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size", [(33, 40), (14, 9), (7, 64)], ids=str)
def test_maxima_behind_a_float_convolution(engine_sets, size, stride):
    """Both are computed in turns; what the convolution reads must not be where the maxima are written."""
    rng, grid = np.random.default_rng(stride), Grid(np.full(1, 5, np.float32), np.full(1, 15))
    kernel = rng.normal(0, 0.3, (40, 3, 7, 7)).astype(np.float32)
    steps = [Image("image", (3, *size)), FloatConv("image", kernel, Tail(relu=True, store="x"), 2, 3)]
    steps += [Pool("x", Tail(store="y", codes="q", grid=grid), (3, 3), stride, 1, maximum=True)]
    shape = engine_tensors.tensors_of(Description(tuple(steps), "y"))["y"].shape
    steps += [FloatConv("y", rng.normal(0, 1, (9, *shape)).astype(np.float32), Tail(store="logits"))]
    program = compile_network(Description(tuple(steps), "logits"))
    x = rng.normal(0, 1, (5, 3, *size)).astype(np.float32)
    expected = interpret(program, x)
    assert all(np.array_equal(bits_of(expected), bits_of(run(program, x, name))) for name in engine_sets)


@pytest.mark.parametrize("large", [1, 1000])
def test_groups_of_images_change_nothing(engine_sets, images, monkeypatch, large):
    """Steps of so many weights and all behind them are computed for up to 4 images at once."""
    monkeypatch.setattr(engine_tensors, "_LARGE", large)
    starts = set()
    for seed in range(12):
        description = random_network(seed)
        program = compile_network(description)
        starts.add(program.header["together"] / len(program.instructions))
        for count, threads in ((1, 1), (3, 1), (4, 2), (9, 2), (11, 3)):
            x = images(description, count, seed)
            expected = interpret(program, x)
            set_threads(threads)
            try:
                assert all(np.array_equal(expected, run(program, x, name)) for name in engine_sets), (seed, count)
            finally:
                set_threads(0)
    assert min(starts) < 1


def test_no_images_have_no_logits(images):
    program = compile_network(random_network(0))
    assert run(program, images(random_network(0), 0)).shape == (0, 7)


def test_an_image_does_not_depend_on_its_neighbours(images):
    description = random_network(8)
    program, x = compile_network(description), images(description, 5)
    assert np.array_equal(run(program, x)[3:4], run(program, x[3:4]))


def one_convolution(rng, filters, channels, kernel, stride, padding, bits, size=(9, 8), differences=False):
    """A network whose codes are those of its images: the grid has step 1."""
    top = 2**bits - 1
    grid = Grid(np.ones(1, np.float32), np.full(1, top))
    eye = np.eye(channels, dtype=np.float32).reshape(channels, channels, 1, 1)
    weight = rng.integers(0 if differences else -255, 256, (filters, channels, *kernel))
    scale = np.ones(filters), np.zeros(filters)
    steps = (
        Image("image", (channels, *size)),
        FloatConv("image", eye, Tail(codes="x", grid=grid)),
        IntegerConv("x", weight, Tail(scale, store="y"), stride, padding, differences=differences),
        Pool("y", Tail(store="logits"), (1, 1), stride=100),
    )
    return Description(steps, "logits"), weight


@pytest.mark.parametrize("differences", [False, True], ids=["products", "differences"])
@pytest.mark.parametrize("kernel", [(1, 1), (3, 3), (2, 5), (1, 4)], ids=str)
@pytest.mark.parametrize(("channels", "filters"), [(1, 1), (4, 16), (17, 33), (16, 5)], ids=str)
def test_integer_sums_are_those_of_float64(kernel, channels, filters, differences):
    rng = np.random.default_rng(channels + filters)
    for stride, padding, bits in ((1, 0, 8), (1, 1, 4), (2, 2, 8), (3, 1, 1)):
        shape = (filters, channels, kernel, stride, padding, bits)
        description, weight = one_convolution(rng, *shape, differences=differences)
        x = rng.integers(0, 2**bits, (2, channels, 9, 8))
        program = compile_network(description)
        found = tensors(program, x.astype(np.float32))[program.names.index("y")][..., :filters]
        padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, kernel, (2, 3))[:, :, ::stride, ::stride]
        if differences:
            windows = windows.transpose(0, 2, 3, 1, 4, 5)[:, :, :, None].astype(np.float64)
            expected = np.abs(windows - weight).sum((4, 5, 6))
        else:
            expected = np.einsum("nchwij,fcij->nhwf", windows, weight, dtype=np.float64)
        assert np.array_equal(found, expected)


@pytest.mark.parametrize(
    ("x", "code"), [(0.5, 0), (1.5, 2), (2.5, 2), (-3, 0), (np.nan, 0), (1e30, 15), (-0.0, 0), (14.5, 14)], ids=str
)
def test_codes_round_half_to_even_within_their_range(engine_sets, x, code):
    description, _ = one_convolution(np.random.default_rng(0), 1, 1, (1, 1), 1, 0, 4, (1, 1))
    steps = (*description.steps[:2], IntegerConv("x", np.ones((1, 1, 1, 1), int), Tail(store="logits")))
    image = np.full((1, 1, 1, 1), x, np.float32)
    program = compile_network(Description(steps, "logits"))
    assert interpret(program, image) == code
    assert all(run(program, image, name) == code for name in engine_sets)


def test_images_choose_by_themselves():
    """Some random networks do; images of one batch take different candidates, each its own codes."""
    choosing = [network for network in map(random_network, range(40)) if len(network.steps) > 12]
    assert len(choosing) > 5
    different = 0
    for description in choosing:
        program = compile_network(description)
        x = np.random.default_rng(1).normal(0, 3, (24, *description.steps[0].shape)).astype(np.float32)
        choices = run(program, x)[:, program.header["classes"] :]
        assert choices.shape[1] == 2 and set(np.unique(choices)) <= {0, 1, 2}
        different += len(np.unique(choices, axis=0)) > 1
    assert different > 2


def test_choices_come_before_what_depends_on_them():
    description = next(network for network in map(random_network, range(40)) if len(network.steps) > 12)
    steps = list(description.steps)
    place = next(i for i, step in enumerate(steps) if isinstance(step, Choose))
    steps[place], steps[place + 1] = steps[place + 1], steps[place]
    with pytest.raises(QuantizationError, match="expected images to choose before"):
        compile_network(Description(tuple(steps), "logits"))


def test_buffers_that_live_together_are_apart():
    for seed in range(50):
        program = compile_network(random_network(seed))
        lives = [[len(program.instructions), -1] for _ in program.buffers]
        for i, instruction in enumerate(program.instructions):
            for field in ("source", "residual", "store", "active", "codes"):
                if instruction[field] != NONE:
                    life = lives[instruction[field]]
                    life[:] = min(life[0], i), max(life[1], i)
        lives[program.header["logits"]][1] = len(program.instructions)
        spans = [(buffer["offset"], buffer["offset"] + size(buffer)) for buffer in program.buffers]
        for i in range(len(spans)):
            for j in range(i):
                together = lives[i][0] <= lives[j][1] and lives[j][0] <= lives[i][1]
                assert not together or spans[i][1] <= spans[j][0] or spans[j][1] <= spans[i][0]
        assert max(end for _, end in spans) <= program.header["arena"]


def size(buffer):
    border = 2 * buffer["border"]
    return buffer["element"] * buffer["stride"] * (buffer["height"] + border) * (buffer["width"] + border)


def test_images_of_another_shape_are_refused(images):
    description = random_network(0)
    with pytest.raises(ConfigError, match="expected images"):
        run(compile_network(description), images(description)[:, :, 1:])


def test_unknown_instructions_are_refused(engine_sets, images):
    description = random_network(0)
    with pytest.raises(ConfigError, match=r"expected one of .*found 'mmx'"):
        run(compile_network(description), images(description), "mmx")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda steps: steps[1:], "begins with its images"),
        (lambda steps: [*steps, steps[-1]], "twice"),
        (lambda steps: [steps[0], *steps[2:]], "an earlier step writes"),
        (lambda steps: [*steps[:2], FloatConv("x", steps[1].weight, steps[2].tail), steps[3]], "expected float in x"),
        (lambda steps: [*steps[:2], replace(steps[2], weight=np.ones((1, 2, 1, 1), int)), steps[3]], "of 1 channels"),
        (lambda steps: [*steps[:3]], "earlier step writes, found 'logits'"),
    ],
)
def test_descriptions_that_do_not_fit_are_refused(change, message):
    description, _ = one_convolution(np.random.default_rng(0), 1, 1, (1, 1), 1, 0, 4)
    with pytest.raises(QuantizationError, match=message):
        compile_network(Description(tuple(change(list(description.steps))), "logits"))
