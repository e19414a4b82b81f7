"""Every script of every method refuses images of other classes than its network's, by one line and the same check."""

import json
from importlib import import_module

import pytest
from script_runs import refused

import lowbitzoo
from common import checkpoint
from common.checkpoint import network_state
from common.data import open_dataset
from common.errors import ConfigError
from common.stored.shipped import ROOT

PACKED = {
    "AdderQuant": "adderquant-resnet20-digits",
    "DAMBQ": "dambq-resnet20-digits-w2a2",
    "DynamicQuant": "dynamicquant-resnet20-digits-w3a3",
    "LDNQ": "ldnq-resnet20-digits-ternary",
    "ProQHA": "proqha-resnet20-digits-w4a4",
}
FLOAT = dict.fromkeys(PACKED, "resnet20-digits")
EVALUATES = [f"{method}.{script}" for method in PACKED for script in ("eval", "export")]
BEGINS = [
    "LDNQ.train",
    "LDNQ.main",
    "DAMBQ.train",
    "DynamicQuant.train --static",
    "ProQHA.train --arch postresnet20",
    "ProQHA.train --arch postresnet20 --archtype quant",
    "ProQHA.search --arch postresnet20",
    "ProQHA.correlation --arch postresnet20",
]
QUANTIZED = {
    "DAMBQ": ("DAMBQ.train --quantize", {}),
    "DynamicQuant": ("DynamicQuant.train --static", {"static": True}),
    "ProQHA": ("ProQHA.train --arch postresnet20 --archtype quant", {}),
}


def answer(capsys, line, *words):
    script, *given = line.split()
    return refused(capsys, import_module(script), *given, *words)


@pytest.fixture
def other(small_cifar, tmp_path):
    """Images of CIFAR-10's classes, for networks of the digits."""
    return ["--dataset", "cifar10", "--dataset_path", small_cifar, "--output_dir", tmp_path]


def is_refusal(line, what="images"):
    return f"{what} of 10 classes (0, 1, 2, 3 ...), found 10 classes (airplane," in line and "--classes FILE" in line


@pytest.mark.parametrize("line", EVALUATES)
def test_evaluating_and_exporting(capsys, other, line):
    assert is_refusal(answer(capsys, line, "--checkpoint_path", PACKED[line.split(".")[0]], *other), "images")


def test_calibrating_an_adder_network(capsys, other):
    assert is_refusal(
        answer(capsys, "AdderQuant.eval", "--checkpoint_path", PACKED["AdderQuant"], *other), "training images"
    )


def test_looking_at_choices(capsys, other):
    line = answer(capsys, "DynamicQuant.potential", "--checkpoint_path", PACKED["DynamicQuant"], *other)
    assert is_refusal(line, "training images")


@pytest.mark.parametrize("line", BEGINS)
def test_beginning_with_a_float_network(capsys, other, line):
    text = answer(capsys, line, "--pretrained", FLOAT[line.split(".")[0]], *other)
    assert is_refusal(text, "training images")
    assert "--new_head" in text or line == "LDNQ.main"


@pytest.mark.parametrize("method", QUANTIZED)
def test_beginning_with_a_quantized_network(capsys, other, tmp_path, method):
    line, options = QUANTIZED[method]
    file = latent(tmp_path / "latent.ckpt", method, **options)
    assert is_refusal(answer(capsys, line, "--init_from", file, *other), "training images")


def latent(file, method, **options):
    """File of the digits' network, quantized and to be trained further."""
    stored = lowbitzoo.quantize(lowbitzoo.load("resnet20-digits"), method, **options)
    checkpoint.save(file, network_state.state(stored.network), json.loads(json.dumps(stored.metadata)))
    return file


def test_two_passes(capsys, other, tmp_path):
    files = [latent(tmp_path / f"{bits}.ckpt", "DynamicQuant", static=True, bits=bits) for bits in (2, 4)]
    words = ["--checkpoint_path", files[0], "--second", files[1]]
    assert is_refusal(answer(capsys, "DynamicQuant.two_passes", *words, *other), "training images")


def test_the_verb(small_cifar):
    stored = lowbitzoo.load("resnet20-digits")
    with pytest.raises(ConfigError, match=r"of 10 classes \(0, 1, 2, 3 \.\.\.\), found 10 classes \(airplane"):
        lowbitzoo.evaluate(stored, "cifar10", small_cifar)
    with pytest.raises(ConfigError, match=r"found 10 classes \(airplane"):
        lowbitzoo.evaluate(stored, images=open_dataset("cifar10", small_cifar, "test"))


def test_every_script_that_opens_images_is_here():
    """A script added later belongs into the tables above."""
    scripts = {line.split()[0] for line in (*EVALUATES, *BEGINS)} | {"AdderQuant.train"}
    scripts |= {"DynamicQuant.potential", "DynamicQuant.two_passes"}
    known = {f"{method}.{name}" for method in PACKED for name in _scripts(method)}
    assert known - scripts == {f"{method}.reproduce" for method in PACKED} | {"ProQHA.measure"}  # which open none


def _scripts(method):
    return [file.stem for file in (ROOT / method).glob("*.py") if "@entry_point" in file.read_text(encoding="utf-8")]
