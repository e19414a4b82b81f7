"""Forward passes of single images, some in a row: one alone is shorter than what wakes a thread."""

from collections.abc import Callable

import numpy as np

from benchmarks import peer_steps


def file_step(method: str, network: str, side: int, threads: int, repeats: int, **settings) -> Callable[[], None]:
    """By the runtime, from a file in memory; arguments as of :func:`benchmarks.engine_steps.step`."""
    from common.runtime import context

    context.setup("CPU", "graph", threads=1)
    from benchmarks.engine_networks import description
    from common.data.preprocessing import Preprocessing
    from common.engine.about import About
    from common.engine.compiler import compile_network
    from common.engine.opened import OpenedFile
    from common.engine.runtime_file import encode

    program = compile_network(description(method, network, side, **settings), plain=True)
    opened = OpenedFile(encode(program, About(network, method, "none", Preprocessing(image_size=side))))
    image = np.random.default_rng(1).normal(size=(1, 3, side, side)).astype(np.float32)
    return repeated(lambda: opened.run(image, threads), repeats)


def int8_step(repeats: int, **arguments) -> Callable[[], None]:
    """At 8 bits in ``onnxruntime`` or ``openvino``."""
    return repeated(peer_steps.int8_step(batch_size=1, **arguments), repeats)


def repeated(step: Callable[[], object], count: int) -> Callable[[], None]:
    """A step so many times."""

    def every() -> None:
        for _ in range(count):
            step()

    return every
