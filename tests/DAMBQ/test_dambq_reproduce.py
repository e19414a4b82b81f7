"""The stages that reproduce.py trains: what they tell train.py."""

import pytest

from common.cli import config
from DAMBQ import reproduce, train


def told(monkeypatch, tmp_path, stage):
    """The options of a stage as train.py understands them."""
    words = ["--pretrained", "float.th", "--dataset_path", "images", "--output_dir", str(tmp_path), "--epochs", "10"]
    args, seen = reproduce.make_parser().parse_args(words), []
    for before in ("float", "w4a4"):
        (tmp_path / reproduce.run_name(args, before)).mkdir(exist_ok=True)
        (tmp_path / reproduce.run_name(args, before) / "final.ckpt").touch()
    monkeypatch.setattr(reproduce.training, "main", lambda argv: seen.append(argv))
    reproduce.train(args, stage)
    return config.parse(train.make_parser(), seen[0])


@pytest.mark.parametrize("stage", ["channel", "layer", "network"])
def test_two_bits_are_allocated_by_what_the_stage_is_called(monkeypatch, tmp_path, stage):
    args = told(monkeypatch, tmp_path, stage)
    assert args.quantize and args.granularity == stage and (args.wgt_target, args.act_target) == (2, 2)
    assert args.init_from.parent.name == "resnet20_w4a4_10epochs_seed0" and args.epochs == 10


def test_four_bits_start_from_float_and_float_from_the_published_network(monkeypatch, tmp_path):
    args = told(monkeypatch, tmp_path, "w4a4")
    assert args.quantize and args.pretrained.parent.name == "resnet20_float_5epochs_seed0" and args.init_from is None
    args = told(monkeypatch, tmp_path, "float")
    assert not args.quantize and str(args.pretrained) == "float.th" and args.epochs == 5
