"""Options that the papers' public code documents: each is accepted, with the meaning that it has there.

A row per option: the words as the documentation writes them, where their value is found, and what it is. A method whose
options are renamed adds its rows here; spellings that no documentation has are not kept.
"""

import importlib
from pathlib import Path

import pytest

from common.cli import config
from common.errors import ConfigError

DOCUMENTED = {
    "DAMBQ.train": [
        ("-a resnet20", "arch", "resnet20"),
        ("-a vgg-small", "arch", "vgg_small"),
        ("--expr-name cifar10_resnet20_w4a4_", "run_name", "cifar10_resnet20_w4a4_"),
        ("--lr 5e-2", "lr", 0.05),
        ("--wgt-target 2.0", "wgt_target", 2.0),
        ("--act-target 4.0", "act_target", 4.0),
        ("--quantize", "quantize", True),
        ("--pretrained float.pth", "pretrained", Path("float.pth")),
        ("--resume w4a4.ckpt", "init_from", Path("w4a4.ckpt")),
    ],
    "LDNQ.train": [
        ("--resume", "go_on", True),
        ("--lr=0.01", "lr", 0.01),
        ("--model_name=ResNet32", "arch", "resnet32"),
    ],
    "LDNQ.main": [
        ("--model_name=ResNet18-ImageNet", "arch", "resnet18"),
        ("--dataset_name=ImageNet", "dataset", "imagenet"),
        ("--dataset_name CIFAR10", "dataset", "cifar10"),
        ("--kbits 5", "levels", 5),
        ("--kbits=11", "levels", 11),
        ("--ratio 0.01", "ratio", 0.01),
        ("--resample True", "resample", True),
    ],
    "ProQHA.train": [
        ("--arch=resnet", "arch", "resnet"),
        ("--num_layers=56", "num_layers", 56),
        ("--archtype=quant", "archtype", "quant"),
        ("--lr=0.001", "lr", 0.001),
        ("--weight_decay=1e-4", "weight_decay", 1e-4),
        ("--train_batch_size=250", "batch_size", 250),
        ("--k_bits=7", "bits", 7),
        ("--pre_k_bits=6", "pre_k_bits", 6),
        ("--ratio=0.9", "ratio", 0.9),
        ("--mission=M", "run_name", "M"),
        ("--gpus=2", "device_id", 2),
        ("--train_epochs=301", "epochs", 301),
        ("--dataset=cifar10", "dataset", "cifar10"),
        ("--data_dir=DIR", "dataset_path", Path("DIR")),
        ("--job_dir=../outputs", "output_dir", Path("../outputs")),
        ("--clip", "clip", True),
        ("--resume=R", "resume", Path("R")),
    ],
    "ProQHA.search": [
        ("--step=24", "step", 24),
        ("--lam=499", "lam", 499),
        ("--interval=2", "interval", 2),
        ("--ratio=0.4", "ratio", 0.4),
        ("--search_epochs=29", "search_epochs", 29),
        ("--k_bits=7", "bits", 7),
        ("--gpus=0", "device_id", 0),
        ("--data_dir DIR", "dataset_path", Path("DIR")),
        ("--mission=M", "run_name", "M"),
        ("--clip", "clip", True),
        ("--resume=R", "resume", Path("R")),
    ],
    "ProQHA.measure": [
        ("--num_layers 50", "num_layers", 50),
        ("--k_bits 2", "bits", 2),
        ("--pre_k_bits 8", "pre_k_bits", 8),
        ("--ratio 1.0", "ratio", 1.0),
    ],
    "AdderQuant.eval": [
        ("--checkpoint_file_path a.ckpt", "checkpoint_path", Path("a.ckpt")),
        ("--train_dataset_path cifar-10-batches-bin", "train_dataset_path", Path("cifar-10-batches-bin")),
        ("--eval_dataset_path cifar-10-verify-bin", "eval_dataset_path", Path("cifar-10-verify-bin")),
        ("--device_target GPU", "device_target", "GPU"),
        ("--class_num 10", "num_classes", 10),
        ("--batch_size 64", "batch_size", 64),
        ("--device_num 1", "device_num", 1),
        ("--image_size 32", "image_size", 32),
    ],
    "DynamicQuant.eval": [
        ("--dataset_path IMAGENET", "dataset_path", Path("IMAGENET")),
        ("--checkpoint_path a.ckpt", "checkpoint_path", Path("a.ckpt")),
        ("--device_target GPU", "device_target", "GPU"),
        ("--smoothing 0.1", "smoothing", 0.1),
        ("--num-classes 1000", "num_classes", 1000),
    ],
}
# Commands as the documentation has them; what stands in brackets there is a name here.
COMMANDS = {
    "DAMBQ.train": [
        "-a resnet20 --expr-name cifar10_resnet20_float",
        "-a resnet20 --expr-name cifar10_resnet20_w4a4_ --lr 5e-2 --wgt-target 4.0 --act-target 4.0 --quantize "
        "--pretrained float.ckpt",
        "-a resnet20 --expr-name cifar10_resnet20_w2.0a2.0 --lr 5e-2 --wgt-target 2.0 --act-target 2.0 --quantize "
        "--resume w4a4.ckpt",
    ],
    "ProQHA.train": [
        "--arch=A --num_layers=20 --archtype=origin --lr=0.001 --weight_decay=1e-4 --train_batch_size=256 --k_bits=8 "
        "--pre_k_bits=8 --ratio=1.0 --mission=M --gpus=0 --train_epochs=300 --dataset=cifar10 --data_dir=DIR "
        "--job_dir=../outputs --clip --resume=R",
    ],
    "ProQHA.search": [
        "--step=25 --lam=500 --interval=1 --ratio=0.5 --search_epochs=30 --dataset=cifar10 --arch=A --lr=1e-3 "
        "--num_layers=20 --k_bits=8 --gpus=0 --data_dir DIR --clip --mission=M --resume=R",
    ],
    "ProQHA.measure": ["--arch resnet --num_layers 50 --k_bits 2 --pre_k_bits 8 --ratio 1.0"],
    "AdderQuant.eval": [
        "--checkpoint_file_path a.ckpt --train_dataset_path cifar-10-batches-bin "
        "--eval_dataset_path cifar-10-verify-bin"
    ],
    "LDNQ.train": ["", "--resume --lr=0.01"],
    "DynamicQuant.eval": ["--dataset_path IMAGENET"],
    "LDNQ.main": ["", "--model_name=ResNet18-ImageNet --dataset_name=ImageNet"],
}
# Spellings of this project that no documentation has.
GONE = {
    "DAMBQ.train": ["--clip 2", "--clip_norm 5", "--no-resume"],
    "LDNQ.train": ["--no-resume"],
    "ProQHA.train": ["--alpha 10"],
    "ProQHA.search": ["--alpha 10"],
    "DynamicQuant.train": ["--expr_name x", "--resume a.ckpt", "--alpha 2", "--clip 1", "--clip_norm 5"],
    "LDNQ.main": ["--resume", "--no-resume"],
    "AdderQuant.eval": ["--network resnet20"],
    "AdderQuant.train": ["--resume", "--network resnet20"],
}


def pairs(table):
    return [(script, words) for script, lines in table.items() for words in lines]


def parsed(script: str, words: str):
    return config.parse(importlib.import_module(script).make_parser(), words.split())


@pytest.mark.parametrize(
    ("script", "words", "name", "value"),
    [(script, *row) for script, rows in DOCUMENTED.items() for row in rows],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_a_documented_option_sets_what_it_meant(script, words, name, value):
    parsed_value = getattr(parsed(script, words), name)
    assert parsed_value == value and type(parsed_value) is type(value)


@pytest.mark.parametrize(
    ("script", "words"), [(script, words) for script, lines in COMMANDS.items() for words in lines]
)
def test_a_documented_command_is_understood(script, words):
    parsed(script, words)


@pytest.mark.parametrize(("script", "words"), pairs(GONE))
def test_other_spellings_are_gone(script, words):
    with pytest.raises(ConfigError, match=f"unknown option {words.split()[0]}"):
        parsed(script, words)


def test_a_saved_configuration_has_the_canonical_names_alone(tmp_path):
    args = parsed("DAMBQ.train", "-a resnet32 --expr-name x --resume g.ckpt")
    assert not {"a", "expr_name", "resume"} & set(vars(args))
    (tmp_path / "old.yaml").write_text("expr_name: y\nresume: g.ckpt\ncontinue: false\n")
    args = parsed("DAMBQ.train", f"--config {tmp_path / 'old.yaml'}")
    assert (args.run_name, args.init_from, args.go_on) == ("y", Path("g.ckpt"), False)
