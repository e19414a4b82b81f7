"""Every method trains in two processes what it trains in one with the same batch, on real images.

Sums come in another order, by which float32 gradients differ in their last bits. Where values are rounded to levels
such a difference can move a single one to the next level; four steps must not let that grow beyond the tolerance.
"""

import numpy as np
import pytest
from test_distribute_scripts import run

from common import checkpoint

pytestmark = pytest.mark.slow
# Share of channels whose sensitivities are so near to the cut that rounding decides whether they lose a bit.
MOVED = 0.005
SHORT = ("--train_samples", 128, "--num_samples", 64, "--batch_size", 32, "--output_dir", "outputs")
# Options of train.py, its run's folder, and the largest difference of a parameter by the largest size of its tensor.
TRAININGS = {
    "AdderQuant": (("--epochs", 1), "", 1e-3),
    "DAMBQ": (("--epochs", 2, "--quantize", "--wgt_target", 3, "--act_target", 3, "--duration", 0, 1), "dambq", 1e-2),
    "DynamicQuant": (("--epochs", 1, "--bits", 3, "--quantizer", "pact", "--warmup_epochs", 0), "dynamic", 1e-2),
    "LDNQ": (("--epochs", "1"), "", 1e-3),
    "ProQHA": (("--train_epochs", 1, "--archtype", "quant", "--k_bits", 4, "--pre_k_bits", 4), "proqha", 1e-2),
}


@pytest.mark.parametrize("method", list(TRAININGS))
def test_two_processes_train_what_one_does(tmp_path, method):
    options, folder, tolerance = TRAININGS[method]
    found = []
    for name, words in (("one", ("run_train.sh", method)), ("two", ("run_distribute_train.sh", method, 2))):
        (tmp_path / name).mkdir()
        done = run(*words, *options, *SHORT, cwd=tmp_path / name)
        assert done.returncode == 0, done.stderr
        found.append(checkpoint.load(tmp_path / name / "outputs" / folder / "last.ckpt"))
    one, two = found
    assert one.metadata["run"] == two.metadata["run"] and one.tensors.keys() == two.tensors.keys()
    channels = moved = 0
    for name, value in one.tensors.items():
        difference = np.abs(two.tensors[name].astype(float) - value)
        if name.endswith("bits"):
            channels, moved = channels + value.size, moved + np.count_nonzero(difference)
            assert difference.max() <= 1, name
        else:
            assert difference.max() <= tolerance * max(float(np.abs(value).max()), 1e-3), name
    assert moved <= MOVED * channels
