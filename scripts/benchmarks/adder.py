"""AdderQuant's networks: evaluation step of ResNet-20 at 8 bits and in float, kernels and fallback, and PyTorch."""

import argparse
import importlib.util
import os
from pathlib import Path

import numpy as np

from benchmarks.harness import Candidate, take_turns


def evaluation_step(kind: str, batch_size: int, native: bool = True):
    """A whole evaluation step in GRAPH mode: images in, network, logits out, scores.

    Args:
        kind: ``int8`` (fused), ``adder`` (float) or ``conv`` (float convolutions, the same sizes).
        batch_size: images per step.
        native: C++ kernels or the pure-MindSpore fallback.
    """
    if not native:
        os.environ["LOWBITZOO_KERNELS"] = "off"
    from common.runtime import context  # in the candidate's process: the choice above is read at import

    context.setup("CPU", "graph")
    from AdderQuant.convert import fuse, quantize_network
    from AdderQuant.network import adder_layers
    from AdderQuant.quant_config import QuantConfig
    from common.evaluation import evaluate
    from common.models.registry import model
    from common.models.resnet_cifar import ResNetCifar

    network = ResNetCifar(20) if kind == "conv" else model("adder_resnet20").build(10)
    if kind == "int8":
        fuse(quantize_network(network, QuantConfig(8), dict.fromkeys(adder_layers(network), 2.0)))
    rng = np.random.default_rng(0)
    batch = {
        "image": rng.normal(size=(batch_size, 3, 32, 32)).astype(np.float32),
        "label": rng.integers(0, 10, batch_size).astype(np.int32),
        "valid": np.ones(batch_size, bool),
    }

    def step() -> None:
        with Path(os.devnull).open("w") as null:
            evaluate(network, [batch], batch_size, stream=null)

    return step


def torch_forward(batch_size: int):
    """The forward pass of PyTorch's float convolutional ResNet-20."""
    from benchmarks.torch_models import resnet20_forward

    return resnet20_forward(batch_size)


def run(args: argparse.Namespace) -> list[dict]:
    """Rows: name, milliseconds per step, images per second, ratio to the reference, peak memory."""
    size = args.batch_size or 128
    candidates = [
        Candidate("adder ResNet-20, 8 bits", evaluation_step, {"kind": "int8", "batch_size": size}),
        Candidate("adder ResNet-20, 8 bits, 4x batch", evaluation_step, {"kind": "int8", "batch_size": 4 * size}),
        Candidate("adder ResNet-20, float", evaluation_step, {"kind": "adder", "batch_size": size}),
        Candidate("conv ResNet-20, float", evaluation_step, {"kind": "conv", "batch_size": size}),
    ]
    if importlib.util.find_spec("torch"):
        candidates.append(Candidate("PyTorch conv ResNet-20, float forward", torch_forward, {"batch_size": size}))
    take_turns(candidates, args.rounds)
    slow = {"kind": "int8", "batch_size": size, "native": False}
    fallback = Candidate("adder ResNet-20, 8 bits, MindSpore fallback", evaluation_step, slow)
    take_turns([fallback], 1)  # seconds a step: one is enough
    reference = candidates[-1]
    rows = []
    for candidate in [*candidates, fallback]:
        images = candidate.arguments["batch_size"]
        speed = images / candidate.median
        ratio = speed / (reference.arguments["batch_size"] / reference.median)
        rows.append(
            {
                "candidate": candidate.name,
                "ms/step": round(candidate.median * 1e3, 1),
                "images/s": round(speed),
                f"speed vs {reference.name}": round(ratio, 3),
                "peak MiB": round(candidate.peak_mib),
            }
        )
    return rows
