"""Learning rates against their formulas and PyTorch's schedulers."""

import math

import numpy as np
import pytest

from common.errors import ConfigError
from common.training.schedules import Schedule


@pytest.mark.parametrize(("epochs", "steps"), [(1, 1), (3, 7), (10, 4)])
def test_cosine(epochs, steps):
    rates = Schedule("cosine", 0.1).rates(epochs, steps)
    total = epochs * steps
    assert rates.dtype == np.float32 and rates.shape == (total,)
    assert rates == pytest.approx([0.05 * (1 + math.cos(math.pi * t / total)) for t in range(total)], rel=1e-6)


def test_multistep_changes_at_the_first_step_of_its_epochs():
    rates = Schedule("multistep", 0.4, milestones=(3, 1), gamma=0.5).rates(4, 2)
    assert rates == pytest.approx([0.4, 0.4, 0.2, 0.2, 0.2, 0.2, 0.1, 0.1])


def test_step_changes_after_every_few_epochs():
    rates = Schedule("step", 0.4, step_epochs=2, gamma=0.5).rates(5, 2)
    assert rates == pytest.approx([0.4] * 4 + [0.2] * 4 + [0.1] * 2)


def test_constant_and_milestones_beyond_the_end():
    assert Schedule("constant", 0.3).rates(2, 3).tolist() == [np.float32(0.3)] * 6
    assert Schedule("multistep", 0.3, milestones=(2,)).rates(2, 3).tolist() == [np.float32(0.3)] * 6
    assert Schedule("multistep", 0.3).rates(1, 2).tolist() == [np.float32(0.3)] * 2


@pytest.mark.parametrize("warmup", [1, 1.5, 5])
@pytest.mark.parametrize("kind", ["cosine", "constant", "multistep"])
def test_warmup_rises_linearly_to_the_rate_of_its_step(kind, warmup):
    full = Schedule(kind, 0.2, milestones=(1,)).rates(3, 4)
    rates = Schedule(kind, 0.2, milestones=(1,), warmup_epochs=warmup).rates(3, 4)
    length = warmup * 4
    expected = [rate * min(1, (t + 1) / length) for t, rate in enumerate(full)]
    assert rates == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("kind", ["cosine", "multistep"])
def test_same_as_pytorch(kind):
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    schedulers = torch.optim.lr_scheduler
    if kind == "cosine":
        scheduler = schedulers.CosineAnnealingLR(optimizer, T_max=6 * 5)
    else:
        scheduler = schedulers.MultiStepLR(optimizer, [2 * 5, 4 * 5], gamma=0.1)
    expected = []
    for _ in range(30):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    rates = Schedule(kind, 0.1, milestones=(2, 4)).rates(6, 5)
    assert rates == pytest.approx(expected, rel=1e-5, abs=1e-8)


def test_unknown_kind():
    with pytest.raises(
        ConfigError, match=r"schedule: expected one of cosine, step, multistep, constant, found 'linear'"
    ):
        Schedule("linear")
