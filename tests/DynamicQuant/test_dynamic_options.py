"""The options of the scripts, and what they refuse."""

import pytest
from script_runs import refused

from common.cli import config
from DynamicQuant import eval as evaluation
from DynamicQuant import train
from DynamicQuant.options import arch_of, train_options


def test_the_documented_options_of_the_original_release_are_taken():
    words = "--dataset_path D --checkpoint_path F --device_target CPU --smoothing 0.1 --num-classes 1000"
    args = config.parse(evaluation.make_parser(), words.split())
    assert (str(args.dataset_path), str(args.checkpoint_path), args.device_target) == ("D", "F", "CPU")
    assert (args.smoothing, args.num_classes) == (0.1, 1000)


def test_the_recipe_of_the_paper_is_the_default():
    args = config.parse(train.make_parser(), [])
    assert (args.lr, args.momentum, args.weight_decay, args.batch_size, args.epochs) == (0.1, 0.9, 1e-4, 256, 110)
    assert (args.schedule, args.milestones, args.warmup_epochs) == ("multistep", [30, 60, 85, 95], 5)
    assert (args.bits, args.quantizer, args.budget, args.temperature) == (4, "dorefa", "bitflops", 1)
    assert args.activation_clip == "calibrate"
    for words, penalty in (([], 1.0), (["--budget", "mean-bits"], 0.05), (["--penalty", "0.2"], 0.2)):
        assert train_options(config.parse(train.make_parser(), words)).penalty == penalty


def test_the_network_follows_from_the_images():
    for words, name in (
        ([], "resnet20"),
        (["--dataset", "imagenet"], "resnet18"),
        (["-a", "resnet56"], "resnet56"),
    ):
        assert arch_of(config.parse(train.make_parser(), words)) == name


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--bits", 2], "expected 3 to 7 of a dynamic network"),
        (["--bits", 8], "expected 3 to 7 of a dynamic network"),
        (["--bits", 1, "--static"], "expected 2 to 8, found 1"),
        (["--bits", 9, "--static"], "expected 2 to 8, found 9"),
        (["--bits", "four"], "bits"),
        (["--quantizer", "lsq"], "quantizer"),
        (["--budget", "macs"], "budget"),
        (["--penalty", 0], "penalty"),
        (["--temperature", 0], "temperature"),
        (["--noise_decay", 1.5], "noise_decay"),
        (["--preference", -1], "preference"),
        (["--activation_clip", "0"], "clip"),
        (["--activation_clip", "max"], "expected calibrate or a number over 0"),
        (["--arch", "resnet18"], "takes imagenet"),
        (["--arch", "vgg"], "arch"),
        (["--arch", "resnet20"], "expected resnet20, found TinyDynamic"),
        (["--pretrained", "absent.ckpt"], "absent.ckpt"),
        (["--init_from", "absent.ckpt"], "both --pretrained and --init_from"),
        (["--train_samples", 33], "33 images were asked for"),
        (["--batch-size", 33], "do not fill a batch"),
        (["--bit", 3], "bits"),
    ],
)
def test_bad_options_are_refused_in_one_line(capsys, training, tmp_path, words, expected):
    assert expected in refused(capsys, train, *training, *words)
    assert not (tmp_path / "run" / "last.ckpt").exists()


def test_files_of_the_wrong_kind_are_refused_in_one_line(capsys, training, runs):
    place = training.index("--pretrained")
    for words, expected in (
        (["--pretrained", runs["static3"][0] / "final.ckpt"], "expected a float network, found a latent one"),
        (["--pretrained", runs["dynamic3"][0] / "dynamic3.ckpt"], "expected a float network, found a packed one"),
        (["--init_from", runs["float"][0] / "final.ckpt"], "found a float one; give it as --pretrained"),
        (["--init_from", runs["static3"][0] / "static3.ckpt"], "found a packed one; give final.ckpt"),
        (["--init_from", runs["static3"][0] / "last.ckpt"], "the state of a training run"),
        (["--init_from", runs["dynamic3"][0] / "final.ckpt"], "found a dynamic one of 3 bits and pact"),
        (["--init_from", runs["dynamic3"][0] / "final.ckpt", "--static"], "expected a static network"),
        (["--init_from", runs["static3"][0] / "final.ckpt", "--float"], "leave out --float"),
    ):
        assert expected in refused(capsys, train, *training[:place], *words)


def test_another_run_in_the_folder_is_refused(capsys, training, tmp_path):
    from script_runs import run

    run(train, *training)
    for words in (["--lr", 0.02], ["--static"], ["--penalty", 7], ["--quantizer", "pact"]):
        line = refused(capsys, train, *training, *words)
        assert "belongs to another run" in line and "--no-continue" in line


def test_bad_evaluations_are_refused_in_one_line(capsys, data, runs):
    dynamic, static = (runs[name][0] / f"{name}.ckpt" for name in ("dynamic3", "static3"))
    for words, expected in (
        (["--checkpoint_path", dynamic, "--num-classes", 7], "expected num_classes 7, found 10"),
        (["--checkpoint_path", static, "--plots"], "choices of a dynamic network, found DoReFa 3 bits"),
        (["--checkpoint_path", dynamic, "--smoothing", 1.5], "from 0 to 1"),
        (["--checkpoint_path", "absent.ckpt"], "absent.ckpt"),
        (["--checkpoint_path", runs["dynamic3"][0] / "last.ckpt"], "the state of a training run"),
        (["--checkpoint_path", dynamic, "--device_target", "NPU"], "device_target"),
    ):
        assert expected in refused(capsys, evaluation, *data, *words)
