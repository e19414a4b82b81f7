"""The options of the scripts, and what they refuse."""

import pytest
from script_runs import refused

from common.cli import config, saved_config
from DAMBQ import eval as evaluation
from DAMBQ import train


def test_options_are_taken_with_both_marks_and_have_aliases():
    old = "-a resnet32 --expr-name x --lr 5e-2 --wgt-target 2.5 --act-target 1.5 --quantize --pretrained f --epochs 7"
    old += " --batch-size 9 --layerwise True --duration 1 8 --resume g --weight-decay 1e-3 --label-smoothing 0.1"
    new = "--arch=resnet32 --run_name=x --lr 0.05 --wgt_target 2.5 --act_target 1.5 --quantize --pretrained f"
    new += (
        " --epochs 7 --batch_size 9 --layerwise --duration 1 8 --init_from g --weight_decay 0.001 --label_smoothing 0.1"
    )
    values = [saved_config.as_dict(config.parse(train.make_parser(), words.split())) for words in (old, new)]
    assert values[0] == values[1] and values[0]["wgt_target"] == 2.5 and values[0]["duration"] == [1, 8]
    assert (values[0]["layerwise"], values[0]["go_on"], values[0]["weight_decay"]) == (True, True, 0.001)
    again = config.parse(train.make_parser(), ["--no-continue", "--layerwise", "false"])
    assert (again.go_on, again.layerwise) == (False, False)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--wgt-target", "5"], "wgt_target"),
        (["--wgt-target", "-1"], "wgt_target"),
        (["--act_target", "4.1"], "act_target"),
        (["--wgt-target", "two"], "wgt_target"),
        (["--duration", "5", "2"], "duration"),
        (["--duration", "5"], "duration"),
        (["--shares", "0", "0.5"], "shares"),
        (["--granularity", "filter"], "granularity"),
        (["--layerwise", "maybe"], "true or false"),
        (["--quantize", "--layerwise", "--granularity", "network"], "without --granularity network, found both"),
        (["--table", "v3"], "table"),
        (["--activation_clip", "0"], "activation_clip"),
        (["--clip", "2"], "unknown option --clip"),
        (["--arch", "resnet20"], "expected resnet20, found Tiny"),
        (["--arch", "resnet18"], "takes imagenet"),
        (["--arch", "alexnet"], "arch"),
        (["--pretrained", "absent.ckpt"], "absent.ckpt"),
        (["--init_from", "absent.ckpt"], "both --pretrained and --init_from"),
        (["--batch-size", "33"], "do not fill a batch"),
        (["--dataset_path", "nowhere"], "nowhere"),
        (["--wgt-targe", "2"], "wgt_target"),
    ],
)
def test_bad_options_are_refused_in_one_line(capsys, quantizing, tmp_path, words, expected):
    assert expected in refused(capsys, train, *quantizing, *words)
    assert not (tmp_path / "run" / "last.ckpt").exists()


def test_files_of_the_wrong_kind_are_refused_in_one_line(capsys, documented, data, tmp_path):
    folders = {name: folder for name, (folder, _) in documented.items()}
    words = [*data, "--output_dir", tmp_path, "--epochs", 1]
    best = folders["w4a4"] / "final.ckpt"
    for options, expected in (
        (["--quantize", "--resume", folders["float"] / "final.ckpt"], "found a float one; give it as --pretrained"),
        (["--quantize", "--resume", folders["w4a4"] / "w4a4.ckpt"], "found a packed one; give final.ckpt"),
        (["--quantize", "--resume", folders["w4a4"] / "last.ckpt"], "the state of a training run"),
        (["--quantize", "--resume", best, "-a", "resnet32"], "change --arch"),
        (["--resume", best], "add --quantize"),
        (["--quantize", "--resume", best, "--table", "v1-cifar"], "the network of --init_from has v2, found v1-cifar"),
        (["--quantize", "--resume", best, "--activation_clip", 2], "clips that it learned, found 2; leave it out"),
        (["--quantize", "--pretrained", best], "expected a float network"),
        (["--quantize", "--pretrained", folders["float"] / "last.ckpt"], "the state of a training run"),
        (["--quantize", "--pretrained", folders["float"] / "final.ckpt", "-a", "resnet32"], "expected resnet32"),
    ):
        assert expected in refused(capsys, train, *words, *options)
    for options, expected in (
        (["--checkpoint_path", folders["w4a4"] / "last.ckpt"], "the state of a training run; give final.ckpt"),
        (["--checkpoint_path", best, "--num_classes", 100], "expected num_classes 100, found 10"),
        (["--checkpoint_path", tmp_path / "absent.ckpt"], "absent.ckpt"),
        ([], "shipped for cifar10"),
    ):
        assert expected in refused(capsys, evaluation, *data, *options)


def test_without_a_start_the_message_names_the_option_that_gives_one(capsys, data, tmp_path):
    assert "pretrained" in refused(capsys, train, *data, "--output_dir", tmp_path, "--quantize")
