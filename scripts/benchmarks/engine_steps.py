"""Forward passes of the integer engine, called by ctypes; and the speed of its layers against a tile's peak."""

import numpy as np

# A layer whose time is that of its tiles: all of it stays in the first cache, the tail is a 144th of its steps.
_PEAK_CHANNELS, _PEAK_SIDE, _PEAK_RUNS = 64, 8, 200


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
    """Nanoseconds and multiply-adds of every instruction of a program on one image, on one thread."""
    return _timed(_program(method, network, side, **settings), side, 3, runs, instruction_set)


def tile_peak(instruction_set: str = "") -> float:
    """Multiply-adds of a tile in a nanosecond."""
    from common.engine.compiler import compile_network
    from common.engine.description import Description, FloatConv, Grid, Image, IntegerConv, Pool, Tail

    rng, channels, side = np.random.default_rng(0), _PEAK_CHANNELS, _PEAK_SIDE
    grid = Grid(np.ones(1, np.float32), np.full(1, 15))
    eye = np.eye(channels, dtype=np.float32).reshape(channels, channels, 1, 1)
    weight = rng.integers(-7, 8, (16, channels, 3, 3))
    steps = (
        Image("image", (channels, side, side)),
        FloatConv("image", eye, Tail(codes="x", grid=grid)),
        IntegerConv("x", weight, Tail((np.ones(16), np.zeros(16)), store="y"), padding=1),
        Pool("y", Tail(store="logits"), (side, side)),
    )
    rows = _timed(compile_network(Description(steps, "logits")), side, channels, _PEAK_RUNS, instruction_set)
    return max(row["macs"] / row["ns"] for row in rows if row["operation"] == "integer convolution")


def _timed(program, side: int, channels: int, runs: int, instruction_set: str) -> list[dict]:
    from common.engine.layout import FLOAT_CONV, INTEGER_CONV, OPERATIONS
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
        if instruction["operation"] in (INTEGER_CONV, FLOAT_CONV):
            source = program.buffers[instruction["source"]]["channels"]
            window = instruction["kernel_height"] * instruction["kernel_width"] * source
            macs = window * instruction["filters"] * instruction["height"] * instruction["width"]
        shape = {key: instruction[key] for key in ("filters", "height", "width")}
        rows.append({"operation": OPERATIONS[instruction["operation"]], **shape, "macs": macs, "ns": float(ns)})
    return rows
