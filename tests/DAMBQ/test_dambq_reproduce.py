"""The stages that reproduce.py trains: what they tell train.py."""

import pytest

from common.cli import config
from DAMBQ import reproduce, train


def told(monkeypatch, tmp_path, stage):
    """The options of a stage as train.py understands them."""
    words = ["--pretrained", "float.th", "--dataset_path", "images", "--output_dir", str(tmp_path), "--epochs", "10"]
    words += ["--mean", "0.49", "0.48", "0.45", "--std", "0.25", "0.24", "0.26"]
    args, seen = reproduce.make_parser().parse_args(words), []
    (tmp_path / reproduce.run_name(args, "w4a4")).mkdir()
    (tmp_path / reproduce.run_name(args, "w4a4") / "final.ckpt").touch()
    monkeypatch.setattr(reproduce.training, "main", lambda argv: seen.append(argv))
    reproduce.train(args, stage)
    return config.parse(train.make_parser(), seen[0])


@pytest.mark.parametrize("stage", ["channel", "layer", "network"])
def test_two_bits_are_allocated_by_what_the_stage_is_called(monkeypatch, tmp_path, stage):
    args = told(monkeypatch, tmp_path, stage)
    assert args.quantize and args.granularity == stage and (args.wgt_target, args.act_target) == (2, 2)
    assert args.init_from.parent.name == "resnet20_conv_w4a4_10epochs_seed0" and args.epochs == 10


def test_four_bits_start_from_the_float_network_with_its_preprocessing(monkeypatch, tmp_path):
    args = told(monkeypatch, tmp_path, "w4a4")
    assert args.quantize and str(args.pretrained) == "float.th" and args.init_from is None
    assert args.arch == "resnet20_conv" and args.mean == [0.49, 0.48, 0.45] and args.std == [0.25, 0.24, 0.26]


def test_a_stage_has_the_epochs_of_its_recipe_unless_told(tmp_path):
    words = ["--pretrained", "float.th", "--dataset_path", "images", "--output_dir", str(tmp_path)]
    args = reproduce.make_parser().parse_args(words)
    assert reproduce.epochs_of(args, "w4a4") == 12 and reproduce.epochs_of(args, "channel") == 48
    args = reproduce.make_parser().parse_args([*words, "--epochs", "2"])
    assert {reproduce.epochs_of(args, stage) for stage in reproduce.STAGES} == {2}
