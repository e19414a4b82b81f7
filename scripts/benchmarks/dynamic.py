"""DynamicQuant's evaluation: only the chosen branches, against the static network and against all branches computed.

All three hold weights that were quantized once. The dynamic networks get the same images and make the same choices,
spread over all candidates; "all branches" computes three and masks two, as the original release does.
"""

import argparse

import numpy as np

from benchmarks.harness import Candidate, take_turns

STATIC, CHOSEN, ALL = "static 4 bits", "dynamic, chosen branches", "dynamic, all branches"
# Network, side of the images, images in a batch.
CASES = (("resnet20", 32, 128), ("resnet18", 224, 16))


def all_branches(conv):
    """A dynamic layer that computes all its branches, with the same kernels."""
    from mindspore import nn

    from common.kernels.conv import float_conv2d
    from common.kernels.fake_quant import UniformQuantize

    class AllBranches(nn.Cell):
        def __init__(self, stride: int, padding: int):
            super().__init__()
            self.quantize, self.conv = UniformQuantize(learned_step=False), float_conv2d(stride, padding)

        def construct(self, x, w, bits, clip, mask):
            rows, y = x.reshape(x.shape[0], 1, -1), 0
            for k in range(w.shape[0]):
                q = self.quantize(rows, bits[k].reshape(1), clip, 0 * clip).reshape(x.shape)
                y = y + mask[:, k].reshape(-1, 1, 1, 1) * self.conv(q, w[k])
            return y

    return AllBranches(*(int(value) for value in conv.geometry.asnumpy()))


def step(network: str, kind: str, side: int, batch_size: int):
    """One evaluation step in GRAPH mode."""
    from mindspore import Tensor

    from common.runtime import context

    context.setup("CPU", "graph", seed=1)
    from common.models.registry import model
    from DynamicQuant.convert import quantize_network
    from DynamicQuant.network import dynamic_layers
    from DynamicQuant.quant_config import QuantConfig

    config = QuantConfig(bits=4, static=kind == STATIC, image_size=side)
    cell = quantize_network(model(network).build(10), config, frozen=True)
    rng = np.random.default_rng(0)
    images = Tensor(rng.normal(size=(batch_size, 3, side, side)).astype(np.float32))
    if kind != STATIC:
        last = cell.controller.last
        last.weight.set_data(Tensor(rng.normal(size=last.weight.shape).astype(np.float32)))
        last.bias.set_data(Tensor(np.zeros(last.bias.shape, np.float32)))
    if kind == ALL:
        for layer in dynamic_layers(cell).values():
            layer.conv = all_branches(layer.conv)
    cell.set_train(False)
    return lambda: cell(images).asnumpy()


def run(args: argparse.Namespace) -> list[dict]:
    """Rows: network and kind, milliseconds of an evaluation step, by the static network's, images per second."""
    groups = []
    for network, side, batch_size in CASES:
        size = args.batch_size or batch_size
        options = {"network": network, "side": side, "batch_size": size}
        kinds = [Candidate(kind, step, {**options, "kind": kind}) for kind in (STATIC, CHOSEN, ALL)]
        groups.append((f"{network}, batch {size}", size, kinds))
    take_turns([candidate for _, _, kinds in groups for candidate in kinds], args.rounds)
    return [row for title, size, kinds in groups for row in _rows(title, size, kinds)]


def _rows(title: str, size: int, kinds: list[Candidate]) -> list[dict]:
    return [
        {
            "network": f"{title}, {candidate.name}",
            "evaluation ms": round(1000 * candidate.median, 1),
            "evaluation / static": round(candidate.median / kinds[0].median, 2),
            "images/s": round(size / candidate.median),
        }
        for candidate in kinds
    ]
