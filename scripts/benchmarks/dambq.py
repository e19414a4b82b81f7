"""DAMBQ's ResNet-20 at W2A2: training and evaluation steps against float networks, MindSpore's and PyTorch's.

The quantized training step includes everything a run does in each step: quantizers, scales, sensitivities, optimizer.
"""

import argparse
import importlib.util

from benchmarks.harness import Candidate, take_turns
from benchmarks.our_steps import whole_step, with_allocator

FLOAT = "float ResNet-20"
MINDSPORE = "float ResNet-20, MindSpore's own convolutions"
QUANTIZED = "W2A2 ResNet-20"
TORCH = "float ResNet-20, PyTorch"
TORCH_QUANTIZED = "W2A2 ResNet-20, plain PyTorch layers"


def step(network: str, training: bool, batch_size: int):
    """One step in GRAPH mode: of training (forward, backward, optimizer) or evaluation (forward)."""
    from mindspore import nn

    from common.runtime import context

    context.setup("CPU", "graph")
    from common.models.layers import Layers
    from common.models.resnet_cifar import ResNetCifar

    def own_conv(channels, filters, kernel, stride=1, padding=0):
        return nn.Conv2d(channels, filters, kernel, stride, pad_mode="pad", padding=padding, has_bias=False)

    layers = Layers(conv=own_conv, stem=own_conv) if network == MINDSPORE else Layers()
    cell, callback = ResNetCifar(20, layers=layers), None
    if network == QUANTIZED:
        cell, callback = with_allocator(cell)
    return whole_step(cell, callback, training, batch_size)


def torch_step(network: str, training: bool, batch_size: int):
    """The same step in PyTorch."""
    from benchmarks.torch_models import resnet20_step

    return resnet20_step(network == TORCH_QUANTIZED, training, batch_size)


def run(args: argparse.Namespace) -> list[dict]:
    """Rows: network, milliseconds of a training and of an evaluation step, both by the float network's."""
    size = args.batch_size or 128
    makers = dict.fromkeys((FLOAT, MINDSPORE, QUANTIZED), step)
    if importlib.util.find_spec("torch"):
        makers |= dict.fromkeys((TORCH, TORCH_QUANTIZED), torch_step)
    pairs = {
        name: [Candidate(name, make, {"network": name, "training": t, "batch_size": size}) for t in (True, False)]
        for name, make in makers.items()
    }
    take_turns([candidate for pair in pairs.values() for candidate in pair], args.rounds)
    return [_row(name, pair, pairs[FLOAT]) for name, pair in pairs.items()]


def _row(name: str, pair: list[Candidate], reference: list[Candidate]) -> dict:
    row = {"network": name}
    for title, measured, baseline in zip(("training", "evaluation"), pair, reference):
        row[f"{title} ms"] = round(1000 * measured.median, 1)
        row[f"{title} / float"] = round(measured.median / baseline.median, 2)
    return row
