"""Forward passes of the integer engine, called by ctypes; and the speed of its layers against a tile's peak."""

import numpy as np

# Layers whose time is that of their tiles: weights of 16 filters stay in the first cache, tails are few.
_PEAK_SIDES, _PEAK_CHANNELS, _PEAK_RUNS = (8, 16, 32), 64, 100


def step(method: str, network: str, batch_size: int, side: int, threads: int, instruction_set: str = "", **settings):
    """The forward pass on random images.

    Args:
        method: of :data:`benchmarks.engine_networks.METHODS`.
        network: name in the zoo.
        batch_size: images per step.
        side: height and width of an image.
        threads: threads to compute with.
        instruction_set: of the engine; empty: the fastest.
        settings: of the method.
    """
    from common.engine.run import run, set_threads

    program = _program(method, network, side, **settings)
    images = np.random.default_rng(1).normal(size=(batch_size, 3, side, side)).astype(np.float32)
    set_threads(threads)
    return lambda: run(program, images, instruction_set)


def _program(method: str, network: str, side: int, **settings):
    from common.runtime import context

    context.setup("CPU", "graph", threads=1)
    from benchmarks.engine_networks import description
    from common.engine.compiler import compile_network

    return compile_network(description(method, network, side, **settings))


def layers(method: str, network: str, side: int, runs: int, instruction_set: str = "", **settings) -> list[dict]:
    """Nanoseconds of every instruction of a program, one image, one thread, and multiply-adds of its direct form."""
    return _timed(_program(method, network, side, **settings), side, 3, runs, instruction_set)


def tile_peak(instruction_set: str = "") -> float:
    """Most multiply-adds of a tile in a nanosecond, of layers of several sizes."""
    return max(_tile_speed(side, instruction_set) for side in _PEAK_SIDES)


def _tile_speed(side: int, instruction_set: str) -> float:
    from common.engine.compiler import compile_network
    from common.engine.description import Description, FloatConv, Grid, Image, IntegerConv, Tail

    rng, channels, filters = np.random.default_rng(0), _PEAK_CHANNELS, _PEAK_CHANNELS
    grid = Grid(np.ones(1, np.float32), np.full(1, 15))
    eye = np.eye(channels, dtype=np.float32).reshape(channels, channels, 1, 1)
    weight = rng.integers(-7, 8, (filters, channels, 3, 3))
    steps = (
        Image("image", (channels, side, side)),
        FloatConv("image", eye, Tail(codes="x", grid=grid)),
        IntegerConv("x", weight, Tail((np.ones(filters), np.zeros(filters)), codes="y", grid=grid), padding=1),
        FloatConv("image", np.ones((1, channels, side, side), np.float32), Tail(store="logits")),
    )
    rows = _timed(
        compile_network(Description(steps, "logits"), plain=True), side, channels, _PEAK_RUNS, instruction_set
    )
    return max(row["macs"] / row["ns"] for row in rows if row["operation"] == "integer convolution")


def _timed(program, side: int, channels: int, runs: int, instruction_set: str) -> list[dict]:
    from common.engine.layout import FLOAT_CONV, INTEGER_CONV, OPERATIONS, WINOGRAD_CONV
    from common.engine.run import run, set_threads

    set_threads(1)
    images = np.random.default_rng(1).normal(size=(1, channels, side, side)).astype(np.float32)
    times = []
    for _ in range(runs):
        nanoseconds = np.zeros(len(program.instructions), np.int64)
        run(program, images, instruction_set, nanoseconds)
        times.append(nanoseconds)
    rows = []
    for instruction, ns in zip(program.instructions, np.median(times, 0)):
        macs = 0
        if instruction["operation"] in (INTEGER_CONV, WINOGRAD_CONV, FLOAT_CONV):
            source = program.buffers[instruction["source"]]["channels"]
            window = instruction["kernel_height"] * instruction["kernel_width"] * source
            macs = window * instruction["filters"] * instruction["height"] * instruction["width"]
        shape = {key: instruction[key] for key in ("filters", "height", "width")}
        rows.append({"operation": OPERATIONS[instruction["operation"]], **shape, "macs": macs, "ns": float(ns)})
    return rows
