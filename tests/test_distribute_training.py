"""Every method trains in two processes what it trains in one with the same batch, on real images.

Sums come in another order, so that float32 values differ in their last bits, and training magnifies that, most of all
where values near the middle of two levels go to the other one. What is compared is therefore the sum of the gradients
that the steps follow: it must have the same direction.
"""

import numpy as np
import pytest
from test_distribute_scripts import run

from common import checkpoint

pytestmark = pytest.mark.training
# Four steps, so short that each begins where the other process's does.
SHORT = ("--train_samples", 158, "--num_samples", 64, "--batch_size", 32, "--output_dir", "outputs", "--lr", 0.001)
VALIDATED = ("--validation", 30)  # kept from the images above: 128 are left
# Options of train.py, folder of the run, and the least cosine between the momenta, all parameters as one vector.
_DAMBQ = ("--epochs", 1, "--quantize", "--wgt_target", 3.9, "--act_target", 3.9, "--shares", 0.2, 0.2)
_DYNAMIC = ("--epochs", 1, "--bits", 3, "--quantizer", "pact", "--warmup_epochs", 0)
_PROQHA = ("--epochs", 1, "--archtype", "quant", "--bits", 4, "--pre_k_bits", 4, "--optimizer", "sgd")
TRAININGS = {
    "AdderQuant": (("--epochs", 1), "", 0.999),
    "DAMBQ": (_DAMBQ, "dambq", 0.98),
    "DynamicQuant": (_DYNAMIC, "dynamic", 0.95),  # choices between bits can flip too
    "LDNQ": (("--epochs", 1), "", 0.999),
    "ProQHA": (_PROQHA, "proqha", 0.98),
}


@pytest.mark.parametrize("method", list(TRAININGS))
def test_two_processes_train_what_one_does(tmp_path, method):
    options, folder, cosine = TRAININGS[method]
    networks = []
    for name, words in (("one", ("run_train.sh", method)), ("two", ("run_distribute_train.sh", method, 2))):
        (tmp_path / name).mkdir()
        done = run(*words, *options, *SHORT, *VALIDATED, cwd=tmp_path / name)
        assert done.returncode == 0, done.stderr
        networks.append(checkpoint.load(tmp_path / name / "outputs" / folder / "last.ckpt"))
        final = checkpoint.load(tmp_path / name / "outputs" / folder / "final.ckpt").metadata
        assert final["training"]["selection"] == "best of 1 epochs on 30 validation images"
    one, two = networks
    assert one.metadata["run"]["data"]["validation"]["images"] == 30 and one.metadata["run"]["data"]["images"] == 128
    assert one.metadata["run"] == two.metadata["run"] and one.tensors.keys() == two.tensors.keys()
    steps = [momentum(end.tensors) for end in networks]
    sizes = [np.linalg.norm(step) for step in steps]
    print(f"{method}: cosine {steps[0] @ steps[1] / (sizes[0] * sizes[1]):.6f}, sizes {sizes}")
    assert steps[0] @ steps[1] >= cosine * sizes[0] * sizes[1]
    assert sizes[1] == pytest.approx(sizes[0], rel=0.1)


def momentum(tensors: dict[str, np.ndarray]) -> np.ndarray:
    """The momenta of all trained parameters, one vector in float64."""
    names = sorted(name for name in tensors if name.startswith("optimizer/") and ".moments." in name)
    assert len(names) > 40
    return np.concatenate([tensors[name].astype(float).ravel() for name in names])
