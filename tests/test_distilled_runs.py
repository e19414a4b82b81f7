"""``--distill`` of the scripts that train: what a run records, and what it refuses."""

import importlib
from pathlib import Path

import pytest
from script_runs import refused, run

from common import checkpoint
from common.checkpoint import network_state
from common.stored.float_network import load_float

ROOT = Path(__file__).resolve().parents[1]
TEACHER = ROOT / "common" / "zoo" / "files" / "resnet20_digits.ckpt"
SHORT = ("--epochs", 1, "--train_samples", 32, "--num_samples", 16, "--batch_size", 16, "--mode", "pynative")
METHODS = {
    "DAMBQ": ("--quantize", "--wgt_target", 4, "--act_target", 4),
    "DynamicQuant": ("--bits", 3),
    "ProQHA": ("--archtype", "quant", "--arch", "postresnet20", "--pretrained", TEACHER),
}


@pytest.mark.parametrize("method", METHODS)
def test_a_run_records_its_teacher(method, tmp_path):
    train = importlib.import_module(f"{method}.train")
    words = (*METHODS[method], *SHORT, "--run_name", "learner", "--output_dir", tmp_path)
    run(train, *words, "--distill", TEACHER, "--distill_weight", 1)
    made = checkpoint.load(tmp_path / "learner" / "final.ckpt").metadata
    teacher = network_state.digest(load_float(TEACHER, "resnet20").network)
    assert made["distillation"] == {"teacher": teacher, "weight": 1.0, "temperature": 4.0}
    assert not any("teacher" in name for name in checkpoint.load(tmp_path / "learner" / "last.ckpt").tensors)


def test_settings_without_a_teacher_are_refused(tmp_path, capsys):
    train = importlib.import_module("DAMBQ.train")
    words = (*METHODS["DAMBQ"], *SHORT, "--output_dir", tmp_path, "--distill_weight", 0.5)
    assert "distill_weight: it goes with --distill FILE" in refused(capsys, train, *words)
