"""Forward passes of ONNX files in onnxruntime and OpenVINO; run in the peers' environment."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.latency_steps import repeated


def step(runtime: str, file: str, batch_size: int, side: int, threads: int, repeats: int) -> Callable[[], None]:
    """A step of so many forward passes on random images.

    Args:
        runtime: ``onnxruntime`` or ``openvino``.
        file: path of the ONNX file.
        batch_size: images of a pass.
        side: height and width of an image.
        threads: threads to compute with.
        repeats: passes of a step.
    """
    from benchmarks.runtime_sessions import onnxruntime_session, openvino_request

    images = np.random.default_rng(1).normal(size=(batch_size, 3, side, side)).astype(np.float32)
    if runtime == "onnxruntime":
        session = onnxruntime_session(Path(file).read_bytes(), threads)
        return repeated(lambda: session.run(["logits"], {"images": images}), repeats)
    request = openvino_request(Path(file).read_bytes(), threads)
    return repeated(lambda: request.infer({"images": images})["logits"], repeats)
