"""The digits' test images as class folders of many kinds: a script counts as many right as on the images themselves."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from script_runs import refused, run

from LDNQ import eval as evaluation

pytestmark = pytest.mark.slow

SHIPPED = "resnet20-digits"


@pytest.fixture
def counted(foreign_inputs, tmp_path):
    """Evaluate a float network on a folder; gives the lines that are printed, right answers and images."""

    def evaluate(folder, *words, file=SHIPPED):
        options = ("--dataset", "cifar10", "--dataset_path", foreign_inputs / "images" / folder)
        lines = run(evaluation, *options, "--checkpoint_path", file, "--json", tmp_path / "found.json", *words)
        found = json.loads((tmp_path / "found.json").read_text())
        return lines, round(found["acc"] * found["samples"]), found["samples"]

    return evaluate


@pytest.mark.parametrize(
    ("folder", "right", "images"),
    [
        ("rgb", 357, 360),
        ("grey16", 356, 359),
        ("one_to_ten", 356, 359),
        ("webp", 357, 360),
        ("macosx", 356, 359),
        ("subset", 320, 323),
    ],
)
def test_every_folder_gives_the_right_count(counted, folder, right, images):
    assert counted(folder)[1:] == (right, images)


def in_mode(file, mode):
    """An image of 16 bits in another mode."""
    image = Image.open(file)
    if mode == "I;16":
        return image
    grey = Image.fromarray((np.asarray(image) // 257).astype(np.uint8))
    return (grey.convert("RGB") if mode == "CMYK" else grey).convert(mode)


@pytest.mark.parametrize(
    ("mode", "suffix"), [("L", "png"), ("LA", "png"), ("P", "png"), ("RGBA", "webp"), ("CMYK", "tif"), ("I;16", "tif")]
)
def test_other_modes_give_the_same_count(counted, foreign_inputs, tmp_path, mode, suffix):
    for source in (foreign_inputs / "images" / "grey16" / "test").rglob("*.png"):
        target = tmp_path / "images" / source.parent.name / f"{source.stem}.{suffix}"
        target.parent.mkdir(parents=True, exist_ok=True)
        in_mode(source, mode).save(target, **({"lossless": True} if suffix == "webp" else {}))
    assert counted(tmp_path / "images")[1:] == (356, 359)


WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@pytest.mark.parametrize("names", ["0 to 9", "5 to 14", "words"])
def test_names_decide_the_labels(counted, foreign_inputs, tmp_path, names, capsys):
    for digit in range(10):
        name = {"0 to 9": str(digit), "5 to 14": str(digit + 5), "words": WORDS[digit]}[names]
        shutil.copytree(foreign_inputs / "images" / "one_to_ten" / "test" / str(digit + 1), tmp_path / "images" / name)
    if names != "words":
        assert counted(tmp_path / "images")[1:] == (356, 359)
        return
    options = ("--dataset", "cifar10", "--dataset_path", tmp_path / "images", "--checkpoint_path", SHIPPED)
    assert "found 10 classes (eight, five, four, nine ...)" in refused(capsys, evaluation, *options)
    (tmp_path / "classes.txt").write_text("".join(f"{word} {digit}\n" for digit, word in enumerate(WORDS)))
    assert counted(tmp_path / "images", "--classes", tmp_path / "classes.txt")[1:] == (356, 359)


def test_a_part_is_spread_over_the_classes_for_all_seeds(counted):
    for seed in (0, 1):
        lines, right, images = counted("rgb", "--num_samples", 36, "--seed", seed)
        assert (right, images) == (36, 36) and "test images: 36, spread over 10 classes" in lines
    assert counted("subset", "--num_samples", 36)[0][0].startswith("test images: 36, spread over 9 classes")


def test_the_preprocessing_of_a_file_that_records_none_is_said_and_can_be_given(counted, foreign_inputs):
    plain = foreign_inputs / "files" / "plain.pth"
    lines, right, images = counted("rgb", file=plain)
    assert (right, images) == (321, 360) and lines[0].startswith(f"preprocessing: {plain} records none; taken, usual")
    assert "--preprocessing NAME" in lines[0]
    lines, *count = counted("rgb", "--preprocessing", "digits", file=plain)
    assert count == [357, 360] and "records none; taken, as given: 32 x 32" in lines[0]
    statistics = ("--mean", *[0.3057] * 3, "--std", *[0.3234] * 3)
    assert counted("rgb", *statistics, file=plain)[1:] == (357, 360)
