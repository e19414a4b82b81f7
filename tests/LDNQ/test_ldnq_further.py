"""``--resume --lr``: another configuration in the folder of a float run trains its network further, below it."""

from dataclasses import asdict, replace

import numpy as np
import pytest

from common import checkpoint
from common.cli.training import TrainingOptions
from common.errors import ConfigError
from common.training import Schedule, TrainConfig
from LDNQ.start import further

FIRST = TrainConfig(2, 4, Schedule("cosine", 0.1))
SECOND = replace(FIRST, schedule=Schedule("cosine", 0.01))


@pytest.fixture
def folder(tmp_path):
    """Folder of a run of ``FIRST`` that has not ended."""
    checkpoint.save(tmp_path / "last.ckpt", {"network/w": np.ones(1, np.float32)}, {"run": {"config": asdict(FIRST)}})
    return tmp_path


@pytest.mark.parametrize("ended", [True, False])
def test_the_same_configuration_goes_on_with_its_run(folder, ended):
    if ended:
        (folder / "final.ckpt").touch()
    options = TrainingOptions(FIRST, folder, "net")
    assert further(options, None) == (options, None)


def test_a_run_that_has_ended_is_trained_further_from_its_final_network(folder):
    (folder / "final.ckpt").touch()
    (folder / "best.ckpt").touch()
    options, start = further(TrainingOptions(SECOND, folder, "net"), None)
    assert (options.folder, start) == (folder / "lr_0.01", folder / "final.ckpt")


def test_a_run_that_was_stopped_is_not(folder, tmp_path):
    options = TrainingOptions(SECOND, folder, "net")
    with pytest.raises(ConfigError, match=r"expected a run that has ended, .* found one of another configuration"):
        further(options, None)
    assert further(options, tmp_path / "float.th") == (
        replace(options, folder=folder / "lr_0.01"),
        tmp_path / "float.th",
    )
    anew = replace(options, go_on=False)
    assert further(anew, None) == (anew, None)
