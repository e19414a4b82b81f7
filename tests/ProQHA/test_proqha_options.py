"""The options of the scripts, and what they refuse."""

from pathlib import Path

import pytest
from script_runs import refused, run

from common import checkpoint
from common.cli import config, saved_config
from common.errors import ConfigError
from ProQHA import eval as evaluation
from ProQHA import measure, search, train
from ProQHA.cost_model import MixedBits
from ProQHA.options import choice, grad_clip_norm, start_options, training_start


def parsed(script, text: str) -> dict:
    return saved_config.as_dict(config.parse(script.make_parser(), text.split()))


def test_the_defaults_are_those_documented():
    values = parsed(search, "")
    expected = {"step": 25, "lam": 500, "interval": 1, "ratio": 0.5, "search_epochs": 30, "bits": 8, "lr": 1e-3}
    expected |= {"batch_size": 256, "floor": 2, "score": "fisher", "cost": None, "compute_cost": None, "clip": False}
    assert {key: values[key] for key in expected} == expected
    values = parsed(train, "")
    expected = {"archtype": "origin", "lr": 1e-3, "weight_decay": 1e-4, "batch_size": 256, "epochs": 300}
    expected |= {"bits": 8, "pre_k_bits": 8, "ratio": 1.0, "arch": "postresnet20", "dataset": "digits"}
    assert {key: values[key] for key in expected} == expected


def settled(script, *words):
    return config.parse(script.make_parser(), list(words))


def test_the_documented_limit_of_gradients_is_5():
    assert grad_clip_norm(settled(train)) is None
    assert grad_clip_norm(settled(train, "--clip")) == grad_clip_norm(settled(train, "--grad_clip_norm", "5")) == 5
    assert grad_clip_norm(settled(search, "--grad_clip_norm", "2.5")) == 2.5
    with pytest.raises(ConfigError, match="clip: it stands for --grad_clip_norm 5, found both"):
        grad_clip_norm(settled(search, "--clip", "--grad_clip_norm", "2.5"))


def test_a_start_is_what_its_option_says():
    kinds = {"--pretrained": "float", "--init_from": "latent", "--resume": None}
    for option, kind in kinds.items():
        args = settled(search, option, "a.ckpt", "--bits", "5", "--activation_clip", "10")
        start = start_options(args, choice(args))
        assert (start.path, start.kind) == (Path("a.ckpt"), kind)
        assert (start.bits, start.activation_clip) == (MixedBits(5, 5), 10)
    args = settled(train, "--k_bits", "3", "--pre_k_bits", "6", "--ratio", "0.5")
    start = training_start(args, choice(args))
    assert (start.path, start.bits, start.activation_clip) == (None, MixedBits(3, 6, 0.5), None)
    args = settled(train, "--pretrained", "a.ckpt", "--resume", "b.ckpt")
    with pytest.raises(ConfigError, match="expected one start, found --pretrained and --resume"):
        training_start(args, choice(args))


def test_the_documented_names_say_which_network_they_are(capsys):
    args = settled(evaluation, "--arch", "resnet20")
    assert choice(args).arch == "preact_resnet20"
    line = "--arch resnet20 is preact_resnet20 in ProQHA, as in the original release; post-activation is postresnet20"
    assert capsys.readouterr().out.splitlines() == [line]
    for words in (["--arch", "postresnet20"], ["--arch", "vgg16"], ["--arch", "resnet18"], []):
        choice(settled(evaluation, *words))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("script", [train, search, evaluation, measure])
def test_the_number_of_layers_is_inferred(script):
    for words, expected in (
        ("--arch resnet32", "preact_resnet32"),
        ("--arch resnet --num_layers 32", "preact_resnet32"),
        ("--arch mobilenetv2", "mobilenet_v2_cifar"),
        ("--arch densenet --num_layers 40", "densenet40"),
        ("", "resnet20"),
    ):
        assert choice(settled(script, *words.split())).arch == expected


@pytest.mark.parametrize("file", sorted((Path(train.__file__).parent / "config").glob("*.yaml")), ids=lambda p: p.stem)
def test_configuration_files_fit_their_scripts(file):
    script = {"train": train, "search": search, "eval": evaluation, "measure": measure}[file.stem]
    assert config.parse(script.make_parser(), ["--config", str(file)]).arch == "postresnet20"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--arch", "alexnet"], "arch: expected one of preact_resnet20"),
        (["--arch", "resnet"], "num_layers: resnet needs a number of layers"),
        (["--arch", "resnet20", "--num_layers", 32], "resnet20 has 20 layers, found --num_layers 32"),
        (["--arch", "resnet18"], "arch: expected one of"),
        (["--archtype", "quantized"], "archtype"),
        (["--k_bits", 1], "--k_bits: expected 2 to 8"),
        (["--pre_k_bits", 9], "pre_k_bits: expected 2 to 8"),
        (["--ratio", 1.5], "ratio"),
        (["--lr", 0], "lr"),
        (["--gpus", -1], "gpus"),
        (["--activation_clip", -1], "activation_clip: expected calibrate or a number over 0"),
        (["--epochs", -1], "epochs"),
        (["--train_batch_size", 33], "do not fill a batch"),
        (["--data_dir", "nowhere"], "nowhere"),
        (["--resume", "absent.ckpt"], "absent.ckpt"),
        (["--train_epoch", 3], "train_epochs"),
        (["--alpha", 3], "unknown option --alpha"),
        (["--pretrained", "a.ckpt", "--resume", "b.ckpt"], "expected one start, found --pretrained and --resume"),
        (["--run_name", "search"], "expected a name without slashes, other than best, final, last, search"),
        (["--mission", "a/b"], "expected a name without slashes"),
        (["--resume", Path("last.ckpt")], "last.ckpt"),
    ],
    ids=str,
)
def test_bad_options_are_refused_in_one_line(capsys, data, tiny_float, tmp_path, words, expected):
    command = [*data, "--arch", "tiny", "--archtype", "quant", "--output_dir", tmp_path]
    command += ["--mode", "pynative", "--epochs", 1]
    if "--pretrained" not in words:
        command += ["--resume", tiny_float / "final.ckpt"]
    assert expected in refused(capsys, train, *command, *words)
    assert not any(tmp_path.rglob("*.ckpt"))


def test_files_of_the_wrong_kind_are_refused_in_one_line(capsys, data, tiny_float, tmp_path, quickly):
    words = [*data, "--arch", "tiny", "--mode", "pynative", "--output_dir", tmp_path, "--epochs", 1]
    quantize, floating = ["--archtype", "quant", "--resume"], tiny_float / "final.ckpt"
    run(train, *words, *quantize, floating, "--run_name", "w8")
    folder, other = tmp_path / "w8", tmp_path / "other.ckpt"
    content = checkpoint.load(floating)
    few = {name: value[:4] if name.startswith("last.") else value for name, value in content.tensors.items()}
    checkpoint.save(other, few, {**content.metadata, "num_classes": 4, "class_names": list("abcd")})
    for case, expected in (
        ([*quantize, folder / "w8.ckpt"], "found a packed one; give final.ckpt or search.ckpt"),
        ([*quantize, folder / "last.ckpt"], "the state of a training run"),
        ([*quantize, tiny_float / "last.ckpt"], "the state of a training run"),
        (
            [*quantize, folder / "final.ckpt", "--arch", "resnet20"],
            "expected preact_resnet20, found Tiny; give --arch tiny",
        ),
        ([*quantize, other], "expected training images of 4 classes (a, b, c, d), found 10 classes (airplane"),
        (["--resume", other], "expected training images of 4 classes (a, b, c, d), found 10 classes (airplane"),
        (["--resume", folder / "final.ckpt"], "expected a float network, found a latent one"),
        (["--resume", folder / "w8.ckpt"], "expected a float network, found a packed one"),
        (["--archtype", "quant"], "pretrained: no float Tiny is shipped for cifar10"),
        (
            ["--archtype", "quant", "--pretrained", folder / "final.ckpt"],
            "expected a float network, found a latent one",
        ),
        (["--archtype", "quant", "--init_from", floating], "found a float one; give it as --pretrained"),
    ):
        assert expected in refused(capsys, train, *words, "--run_name", "new", *case)
    for case, expected in (
        (["--checkpoint_path", folder / "last.ckpt"], "the state of a training run; give final.ckpt"),
        (["--checkpoint_path", folder / "final.ckpt", "--num_classes", 100], "expected num_classes 100, found 10"),
        (
            ["--checkpoint_path", folder / "final.ckpt", "--dataset", "imagenet", "--arch", "resnet18"],
            "takes digits or",
        ),
        (["--checkpoint_path", tmp_path / "absent.ckpt"], "absent.ckpt"),
        (["--dataset", "imagenet", "--arch", "resnet18"], "shipped for imagenet"),
    ):
        assert expected in refused(capsys, evaluation, *data, "--arch", "tiny", *case)
    line = refused(capsys, train, *words, *quantize, floating, "--run_name", "w8", "--lr", 0.02)
    assert "belongs to another run" in line and "--no-continue" in line
