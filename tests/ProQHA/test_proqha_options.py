"""The options of the scripts, and what they refuse."""

from pathlib import Path

import pytest
from script_runs import refused, run

from common import checkpoint
from common.cli import config, saved_config
from ProQHA import eval as evaluation
from ProQHA import measure, search, train
from ProQHA.dataset import chosen_model

TRAIN = (
    "--arch=resnet --num_layers=56 --archtype=quant --lr=0.001 --weight_decay=1e-4 --train_batch_size=250 --k_bits=7 "
    "--pre_k_bits=6 --ratio=0.9 --mission=M --gpus=2 --train_epochs=301 --dataset=cifar10 --data_dir=DIR "
    "--job_dir=../outputs --clip --resume=R"
)
SEARCH = (
    "--step=24 --lam=499 --interval=2 --ratio=0.4 --search_epochs=29 --dataset=cifar10 --arch=vgg16 --lr=1e-2 "
    "--num_layers=16 --k_bits=7 --gpus=0 --data_dir DIR --clip --mission=M --resume=R"
)


def parsed(script, text: str) -> dict:
    return saved_config.as_dict(config.parse(script.make_parser(), text.split()))


def test_the_documented_options_of_training_keep_their_names():
    found = parsed(train, TRAIN)
    expected = {"arch": "resnet", "num_layers": 56, "archtype": "quant", "lr": 0.001, "weight_decay": 1e-4}
    expected |= {"batch_size": 250, "k_bits": 7, "pre_k_bits": 6, "ratio": 0.9, "mission": "M", "device_id": 2}
    expected |= {"train_epochs": 301, "dataset": "cifar10", "dataset_path": "DIR", "output_dir": "../outputs"}
    expected |= {"clip": True, "resume": "R", "go_on": True, "alpha": None}
    assert {key: found[key] for key in expected} == expected
    new = TRAIN.replace("_", "-").replace("--data-dir", "--dataset_path").replace("--job-dir", "--output-dir")
    assert parsed(train, new.replace("--train-batch-size", "--batch_size")) == found


def test_the_documented_options_of_the_search_keep_their_names():
    found = parsed(search, SEARCH)
    expected = {"step": 24, "lam": 499, "interval": 2, "ratio": 0.4, "search_epochs": 29, "arch": "vgg16", "lr": 0.01}
    expected |= {"num_layers": 16, "k_bits": 7, "device_id": 0, "dataset_path": "DIR", "clip": True, "resume": "R"}
    assert {key: found[key] for key in expected} == expected


def test_the_defaults_are_those_documented():
    found = parsed(search, "")
    expected = {"step": 25, "lam": 500, "interval": 1, "ratio": 0.5, "search_epochs": 30, "k_bits": 8, "lr": 1e-3}
    expected |= {"batch_size": 256, "floor": 2, "score": "fisher", "cost": None, "compute_cost": None, "clip": False}
    assert {key: found[key] for key in expected} == expected
    found = parsed(train, "")
    expected = {"archtype": "origin", "lr": 1e-3, "weight_decay": 1e-4, "batch_size": 256, "train_epochs": 300}
    expected |= {"k_bits": 8, "pre_k_bits": 8, "ratio": 1.0, "arch": "resnet20", "dataset": "digits"}
    assert {key: found[key] for key in expected} == expected


@pytest.mark.parametrize("script", [train, search, evaluation, measure])
def test_the_number_of_layers_is_inferred(script):
    for words, expected in (
        ("--arch resnet32", "preact_resnet32"),
        ("--arch resnet --num_layers 32", "preact_resnet32"),
        ("--arch mobilenetv2", "mobilenet_v2_cifar"),
        ("--arch densenet --num_layers 40", "densenet40"),
        ("", "preact_resnet20"),
    ):
        assert chosen_model(config.parse(script.make_parser(), words.split())) == expected


@pytest.mark.parametrize("file", sorted((Path(train.__file__).parent / "config").glob("*.yaml")), ids=lambda p: p.stem)
def test_configuration_files_fit_their_scripts(file):
    script = {"train": train, "search": search, "eval": evaluation, "measure": measure}[file.stem]
    assert config.parse(script.make_parser(), ["--config", str(file)]).arch == "resnet20"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--arch", "alexnet"], "arch: expected one of resnet20"),
        (["--arch", "resnet"], "num_layers: resnet needs a number of layers"),
        (["--arch", "resnet20", "--num_layers", 32], "resnet20 has 20 layers, found --num_layers 32"),
        (["--arch", "resnet18"], "arch: expected one of"),
        (["--archtype", "quantized"], "archtype"),
        (["--k_bits", 1], "k_bits: expected 2 to 8"),
        (["--pre_k_bits", 9], "pre_k_bits: expected 2 to 8"),
        (["--ratio", 1.5], "ratio"),
        (["--lr", 0], "lr"),
        (["--gpus", -1], "gpus"),
        (["--alpha", -1], "alpha: expected calibrate or a number over 0"),
        (["--train_epochs", 0], "train_epochs"),
        (["--train_batch_size", 33], "do not fill a batch"),
        (["--data_dir", "nowhere"], "nowhere"),
        (["--resume", "absent.ckpt"], "absent.ckpt"),
        (["--train_epoch", 3], "train_epochs"),
        (["--mission", "search"], "mission: expected a name without slashes, other than best, last, search"),
        (["--mission", "a/b"], "mission: expected a name without slashes"),
        (["--resume", Path("last.ckpt")], "last.ckpt"),
    ],
    ids=str,
)
def test_bad_options_are_refused_in_one_line(capsys, data, tiny_float, tmp_path, words, expected):
    command = [*data, "--arch", "tiny", "--archtype", "quant", "--resume", tiny_float / "best.ckpt"]
    command += ["--output_dir", tmp_path, "--mode", "pynative", "--train_epochs", 1]
    assert expected in refused(capsys, train, *command, *words)
    assert not any(tmp_path.rglob("*.ckpt"))


def test_files_of_the_wrong_kind_are_refused_in_one_line(capsys, data, tiny_float, tmp_path, quickly):
    words = [*data, "--arch", "tiny", "--mode", "pynative", "--output_dir", tmp_path, "--train_epochs", 1]
    quantize = ["--archtype", "quant", "--resume"]
    run(train, *words, *quantize, tiny_float / "best.ckpt", "--mission", "w8")
    folder, other = tmp_path / "w8", tmp_path / "other.ckpt"
    found = checkpoint.load(tiny_float / "best.ckpt")
    few = {name: value[:4] if name.startswith("last.") else value for name, value in found.tensors.items()}
    checkpoint.save(other, few, {**found.metadata, "num_classes": 4})
    for own, expected in (
        ([*quantize, folder / "w8.ckpt"], "found a packed one; give best.ckpt or search.ckpt"),
        ([*quantize, folder / "last.ckpt"], "the state of a training run"),
        ([*quantize, tiny_float / "last.ckpt"], "the state of a training run"),
        (
            [*quantize, folder / "best.ckpt", "--arch", "resnet20"],
            "expected preact_resnet20, found Tiny; change",
        ),
        ([*quantize, other], "expected a network of the data's 10 classes, found one of 4"),
        (["--resume", other], "expected a network of the data's 10 classes, found one of 4"),
        (["--resume", folder / "best.ckpt"], "expected a float network, found a quantized one"),
        (["--resume", folder / "w8.ckpt"], "expected a float network, found a packed one"),
        (["--archtype", "quant"], "resume: no float Tiny is shipped for cifar10"),
    ):
        assert expected in refused(capsys, train, *words, "--mission", "new", *own)
    for own, expected in (
        (["--checkpoint_path", folder / "last.ckpt"], "the state of a training run; give best.ckpt"),
        (["--checkpoint_path", folder / "best.ckpt", "--num_classes", 100], "expected num_classes 100, found 10"),
        (["--checkpoint_path", folder / "best.ckpt", "--dataset", "imagenet", "--arch", "resnet18"], "takes digits or"),
        (["--checkpoint_path", tmp_path / "absent.ckpt"], "absent.ckpt"),
        ([], "shipped for cifar10"),
    ):
        assert expected in refused(capsys, evaluation, *data, "--arch", "tiny", *own)
    line = refused(capsys, train, *words, *quantize, tiny_float / "best.ckpt", "--mission", "w8", "--lr", 0.02)
    assert "belongs to another run" in line and "--no-continue" in line
