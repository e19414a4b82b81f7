"""Every method trains in two processes what it trains in one with the same batch, on real images.

Sums come in another order, so that float32 values differ in their last bits. A float network stays that near. Where
values are rounded to levels such a difference moves some to the next level, and the layers behind them move more: the
same batch through BatchNorm's formula written in two ways differs by 5e-6 in the logits of a float ResNet-20, by 0.2 in
those of one with 4 bits. Of quantized networks the whole step is compared: its direction must be the same.
"""

from dataclasses import dataclass

import numpy as np
import pytest
from test_distribute_scripts import ROOT, run

from common import checkpoint

pytestmark = pytest.mark.slow
SHORT = ("--train_samples", 128, "--num_samples", 64, "--batch_size", 32, "--output_dir", "outputs")


@dataclass(frozen=True)
class Training:
    """Four steps of a method.

    Attributes:
        options: of its train.py.
        folder: of the run in the output folder.
        tolerance: float networks: largest difference of a parameter by the largest size of its tensor.
        start: quantized ones: the network that they start from.
        cosine: least between the steps taken by one process and by two.
    """

    options: tuple
    folder: str = ""
    tolerance: float = 0.0
    start: str = "common/checkpoints/resnet20_digits.ckpt"
    cosine: float = 0.98


_DAMBQ = ("--epochs", 2, "--quantize", "--wgt_target", 3, "--act_target", 3, "--duration", 0, 1)
_PROQHA = ("--train_epochs", 1, "--archtype", "quant", "--k_bits", 4, "--pre_k_bits", 4, "--optimizer", "sgd")
TRAININGS = {
    "AdderQuant": Training(("--epochs", 1), tolerance=2e-2),
    "DAMBQ": Training(_DAMBQ, "dambq"),
    "DynamicQuant": Training(
        ("--epochs", 1, "--bits", 3, "--quantizer", "pact", "--warmup_epochs", 0, "--lr", 0.01),
        "dynamic",
        cosine=0.95,  # choices between bits can flip too
    ),
    "LDNQ": Training(("--epochs", 1), tolerance=1e-3),
    "ProQHA": Training((*_PROQHA, "--lr", 0.01), "proqha", start="ProQHA/checkpoints/preact_resnet20_digits.ckpt"),
}


@pytest.mark.parametrize("method", list(TRAININGS))
def test_two_processes_train_what_one_does(tmp_path, method):
    training, found = TRAININGS[method], []
    for name, words in (("one", ("run_train.sh", method)), ("two", ("run_distribute_train.sh", method, 2))):
        (tmp_path / name).mkdir()
        done = run(*words, *training.options, *SHORT, cwd=tmp_path / name)
        assert done.returncode == 0, done.stderr
        found.append(checkpoint.load(tmp_path / name / "outputs" / training.folder / "last.ckpt"))
    one, two = found
    assert one.metadata["run"] == two.metadata["run"] and one.tensors.keys() == two.tensors.keys()
    if training.tolerance:
        for name, value in one.tensors.items():
            if name.startswith("network/"):
                difference = np.abs(two.tensors[name].astype(float) - value).max()
                assert difference <= training.tolerance * max(float(np.abs(value).max()), 1e-3), name
    else:
        start = checkpoint.load(ROOT / training.start).tensors
        steps = [step_from(start, end.tensors) for end in found]
        assert steps[0] @ steps[1] >= training.cosine * np.linalg.norm(steps[0]) * np.linalg.norm(steps[1])


def step_from(start: dict, end: dict) -> np.ndarray:
    """What training has added to the trained parameters that the start has, one vector in float64."""
    names = [name for name in start if f"network/{name}" in end and "moving_" not in name]
    assert len(names) > 40
    return np.concatenate([(end[f"network/{name}"].astype(float) - start[name]).ravel() for name in names])
