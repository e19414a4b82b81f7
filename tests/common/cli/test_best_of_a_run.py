"""``best.ckpt`` of a run that has none: the file that is there in its place is named."""

import pytest

from common.cli.checkpoint_names import resolved
from common.errors import CheckpointError


def test_a_run_without_validation_is_answered_with_its_final_network(tmp_path):
    (tmp_path / "final.ckpt").touch()
    with pytest.raises(CheckpointError, match=r"found a run without --validation; give .*final\.ckpt"):
        resolved(tmp_path / "best.ckpt")
    assert resolved(tmp_path / "last.ckpt") == tmp_path / "last.ckpt"  # its reader says what is wrong with it
    (tmp_path / "best.ckpt").touch()
    assert resolved(tmp_path / "best.ckpt") == tmp_path / "best.ckpt"


def test_a_folder_without_either_is_no_run(tmp_path):
    assert resolved(tmp_path / "best.ckpt") == tmp_path / "best.ckpt"
