"""What the training engine minimises: cross-entropy, or a cell in its place."""

import numpy as np
import pytest
from dynamic_tiny import PREPROCESSING, TinyResNet, images
from mindspore import Tensor, nn

from common import checkpoint
from common.checkpoint import network_state
from common.training import Run, Schedule, TrainConfig, TrainData, Trainer

pytestmark = pytest.mark.usefixtures("pynative")
CONFIG = TrainConfig(2, 6, Schedule("constant", 0.05), label_smoothing=0.1, seed=5)


class Scaled(nn.Cell):
    """Cross-entropy times a factor plus a constant: (images, labels) to (loss, logits)."""

    def __init__(self, network, factor, constant):
        super().__init__(auto_prefix=False)
        self.network, self.factor, self.constant = network, factor, constant
        self.loss = nn.CrossEntropyLoss(label_smoothing=0.1)

    def construct(self, x, labels):
        logits = self.network(x)
        return self.factor * self.loss(logits, labels) + self.constant, logits


def trained(folder, make=None):
    """History, and the network's parameters."""
    network = TinyResNet()
    objective = make and make(network)
    trainer = Trainer(
        network=network,
        data=TrainData(images(), PREPROCESSING),
        config=CONFIG,
        run=Run(folder),
        objective=objective,
    )
    history = [{k: v for k, v in record.items() if k != "seconds"} for record in trainer.run()]
    return history, network_state.state(network), checkpoint.load(trainer.files.last)


def test_an_objective_that_is_the_cross_entropy_changes_nothing(tmp_path):
    plain, same = trained(tmp_path / "a"), trained(tmp_path / "b", lambda network: Scaled(network, 1.0, 0.0))
    for one, other in zip(plain[0], same[0], strict=True):
        # MindSpore's loss value (not its gradient) may differ in the last bit with the alignment of its buffers.
        assert one.pop("loss") == pytest.approx(other.pop("loss"), rel=1e-6) and one == other
    for name, value in plain[1].items():
        np.testing.assert_array_equal(same[1][name], value)
    assert sorted(plain[2].tensors) == sorted(same[2].tensors)


def test_the_objective_is_what_is_minimised_and_reported(tmp_path):
    plain, other = trained(tmp_path / "a"), trained(tmp_path / "b", lambda network: Scaled(network, 0.0, 2.5))
    assert [record["loss"] for record in other[0]] == [2.5, 2.5]
    start = TinyResNet()
    for parameter in start.trainable_params():  # no gradient but weight decay's, which is off
        np.testing.assert_array_equal(other[1][parameter.name], parameter.asnumpy())
    assert plain[0][1]["loss"] < plain[0][0]["loss"]
    assert Tensor(other[1]["head.fc.weight"]).shape == (4, 8)
