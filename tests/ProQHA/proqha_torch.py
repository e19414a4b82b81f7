"""The small network, quantized, in PyTorch and float64: quantizers from their equations, gradients by autograd."""

import numpy as np
import torch
from proqha_tiny import LAYERS
from torch.nn import functional

from common.checkpoint import network_state


def levels(unit):
    """Straight through the rounding."""
    return unit + (unit.round() - unit).detach()


def dorefa(w, bits):
    t, steps = torch.tanh(w), 2**bits - 1
    return 2 * levels(steps * (t / (2 * t.abs().max()) + 0.5)) / steps - 1


def pact(x, bits, clip, signed):
    """(|u| - |u - clip| + clip) / 2 is the clipping; the rounding has no gradient for the clip."""
    u, steps = (x + clip) / 2 if signed else x, 2**bits - 1
    clipped = 0.5 * (u.abs() - (u - clip).abs() + clip)
    y = clipped + (torch.round(clipped * steps / clip) * clip / steps - clipped).detach()
    return 2 * y - clip if signed else y


class Twin:
    """The forward pass in evaluation mode, that keeps the quantized values and what they were made of.

    Args:
        network: quantized, of the tests.
    """

    def __init__(self, network):
        state = network_state.state(network)
        self.bits = {name: int(value[0]) for name, value in state.items() if name.endswith("bits")}
        floats = {name: value.astype(np.float64) for name, value in state.items() if name not in self.bits}
        trained = {name for name, p in network.parameters_and_names() if p.requires_grad}
        self.parameters = {name: torch.tensor(v, requires_grad=name in trained) for name, v in floats.items()}
        self.inputs, self.quantized_inputs, self.quantized_weights = {}, {}, {}

    def weight(self, name):
        parameters = self.parameters
        quantized = dorefa(parameters[f"{name}.weight"], self.bits[f"{name}.quantize_weight.bits"])
        weight = self.quantized_weights[name] = parameters[f"{name}.quantize_weight.scale"] * quantized
        weight.retain_grad()
        return weight

    def input(self, name, x):
        clip, bits = self.parameters[f"{name}.quantize_input.clip"], self.bits[f"{name}.quantize_input.bits"]
        self.inputs[name], value = x, pact(x, bits, clip, name == "mix")
        self.quantized_inputs[name] = value
        value.retain_grad()
        return value

    def conv(self, name, x, **options):
        if name in LAYERS:
            return functional.conv2d(self.input(name, x), self.weight(name), **options)
        return functional.conv2d(x, self.parameters[f"{name}.weight"], **options)

    def norm(self, name, x):
        parts = ("moving_mean", "moving_variance", "gamma", "beta")
        return functional.batch_norm(x, *(self.parameters[f"{name}.{part}"] for part in parts), eps=1e-5)

    def logits(self, images):
        p = self.parameters
        x = self.conv("stem", torch.tensor(images, dtype=torch.float64), stride=2, padding=1)
        bias = p["inner.layer.2.bias"]
        inner = torch.relu(self.norm("inner.layer.0", x))
        inner = torch.relu(self.conv("inner.layer.2", inner, stride=2, padding=1, bias=bias))
        inner = self.norm("norm", self.conv("grouped", inner, padding=1, groups=4))
        x = self.conv("mix", inner + self.conv("downsample", x, stride=2), bias=p["mix.bias"])
        x = torch.relu(x).mean((2, 3))
        x = functional.linear(self.input("hidden", x), self.weight("hidden"), p["hidden.bias"])
        return functional.linear(torch.relu(x), p["last.weight"], p["last.bias"])

    def backward(self, images, labels) -> float:
        """Mean loss; its gradients are in all tensors from here on."""
        loss = functional.cross_entropy(self.logits(images), torch.tensor(labels, dtype=torch.int64))
        loss.backward()
        return float(loss.detach())

    def log_odds(self, images, labels):
        """Log-odds of each image for its class against all others, (N,)."""
        logits = self.logits(images)
        of_class = functional.one_hot(torch.tensor(labels, dtype=torch.int64), logits.shape[1]).bool()
        return logits[of_class] - torch.logsumexp(logits.masked_fill(of_class, -torch.inf), 1)
