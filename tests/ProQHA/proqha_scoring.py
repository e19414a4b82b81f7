"""Bits, what a step would lower them to, and candidates, for the tests of scores."""

import numpy as np
import pytest
from mindspore import nn
from proqha_tiny import batch, labels, tiny

from ProQHA.fisher import FisherScorer
from ProQHA.quant_config import QuantConfig

BITS = np.array([[5, 4], [3, 6], [8, 3], [4, 2]])
LOWERED = np.array([[4, 3], [2, 4], [6, 2], [2, 2]])
CLIPS = np.array([1.1, 0.9, 1.7, 0.6])


def candidates(count: int = 6, seed: int = 0) -> list[np.ndarray]:
    """Some candidates of a step from BITS."""
    rng = np.random.default_rng(seed)
    return [np.where(rng.random((4, 2)) < 0.5, LOWERED, BITS) for _ in range(count)]


def fisher(network: nn.Cell | None = None, count: int = 16) -> FisherScorer:
    """The scorer of the small network on some images."""
    return FisherScorer(network or tiny(), QuantConfig(signed=("mix",)), batch(count), labels(count))


def twin(network: nn.Cell):
    """The network in PyTorch; the test is skipped where there is none."""
    pytest.importorskip("torch")
    from proqha_torch import Twin

    return Twin(network)
