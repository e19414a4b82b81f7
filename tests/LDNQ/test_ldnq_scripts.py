"""The scripts as a user calls them."""

import csv
import json
from pathlib import Path

import pytest
from PIL import Image

from common import checkpoint
from common.checkpoint import network_state
from LDNQ import eval as evaluation
from LDNQ import main as quantization
from LDNQ import storage, train
from LDNQ.calibration_set import calibration_count
from LDNQ.layer_report import NOT_TESTED
from LDNQ.levels import TABLES
from LDNQ.reproduce import table_of


def run(capsys, script, *words) -> list[str]:
    """The lines that a script prints."""
    script.main([str(word) for word in words])
    return capsys.readouterr().out.strip().splitlines()


def refused(capsys, script, *words) -> str:
    """The one line on stderr of a script that ends with exit status 2."""
    with pytest.raises(SystemExit) as stopped:
        script.main([str(word) for word in words])
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("warning")]
    assert stopped.value.code == 2 and len(lines) == 1 and lines[0].startswith("error: "), lines
    return lines[0]


@pytest.fixture(scope="module")
def tiny_cifar(tmp_path_factory, lossless) -> Path:
    """The first 40 training and 20 test images."""
    folder = tmp_path_factory.mktemp("cifar")
    for name, file, count in (
        ("cifar-10-batches-bin", "data_batch_1.bin", 40),
        ("cifar-10-verify-bin", "test_batch.bin", 20),
    ):
        (folder / name).mkdir()
        (folder / name / file).write_bytes((lossless / name / file).read_bytes()[: 3073 * count])
    return folder


@pytest.mark.training
def test_the_documented_command_quantizes_and_the_file_gives_the_same_result(capsys, tmp_path, published, tiny_cifar):
    words = ["--model_name=resnet20", "--dataset_name=CIFAR10", "--dataset_path", tiny_cifar, "--pretrained", published]
    words += ["--kbits", 3, "--quantized_first_and_last", "True", "--ratio", 0.4, "--views", 2, "--steps", 1]
    words += ["--refine_steps", 1, "--match_batch_size", 8, "--batch_size", 20]
    words += ["--output_dir", tmp_path, "--json", tmp_path / "out.json"]
    lines = run(capsys, quantization, *words)
    assert lines[0].startswith("resnet20: 3 levels = 2 bits per weight")
    assert NOT_TESTED in lines and not any(", test " in line for line in lines)
    path = tmp_path / "resnet20_3levels.ckpt"
    assert lines[-1].startswith("result: {'acc': ") and lines[-1].endswith(f"ckpt= {path}")
    record = json.loads((tmp_path / "out.json").read_text())
    assert (record["levels"], record["images"], record["samples"], record["bits"]) == (3, 16, 20, 2)
    assert set(record["stages"]) >= {"float network", "Hessians", "layer problems", "matching", "BatchNorm statistics"}
    assert record["cost"]["quantized_weight_bits"] == 2 and record["cost"]["average_weight_bits"] == 2
    with (tmp_path / "layers.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert "test_acc" not in rows[0] and "tests" not in record["stages"]
    assert len(rows) == 20 and rows[-1]["layer"] == "head.fc" and 0 < float(rows[3]["error"]) < 0.2
    assert Image.open(tmp_path / "layers.png").size[0] > 500
    assert 12 * path.stat().st_size <= published.stat().st_size
    again = run(capsys, evaluation, "--checkpoint_path", path, "--dataset", "cifar10", "--dataset_path", tiny_cifar)
    assert again[-1] == lines[-1]
    stored = storage.load(path)
    assert len(stored.layers) == 20 and all(layer.weights[0].levels is TABLES[3] for layer in stored.layers.values())
    assert stored.metadata["settings"] == {"levels": 3, "granularity": "channel", "first_and_last": True}
    assert stored.metadata["training"] == {"images": 16, "seed": 1}
    lines = run(capsys, quantization, *words, "--act_bits", 8)  # the cascade is finished
    record = json.loads((tmp_path / "out.json").read_text())
    with_clips = tmp_path / "resnet20_3levels_a8.ckpt"
    assert record["act_bits"] == 8 and f"engine: {record['engine']} ({record['engine_about']})" in lines
    again = run(
        capsys, evaluation, "--checkpoint_path", with_clips, "--dataset", "cifar10", "--dataset_path", tiny_cifar
    )
    assert again[-1] == lines[-1] and lines[-1].endswith(f"ckpt= {with_clips}")
    wrong = [*words[:-4], "--output_dir", tmp_path, "--pretrained", path]
    assert "expected a float network, found a packed one" in refused(capsys, quantization, *wrong)
    assert "num_classes" in refused(capsys, evaluation, "--checkpoint_path", path, "--num_classes", 100)


def test_without_options_the_shipped_ternary_network_is_evaluated(capsys, tmp_path):
    lines = run(capsys, evaluation, "--json", tmp_path / "out.json")
    record = json.loads((tmp_path / "out.json").read_text())
    assert record["samples"] == 360 and record["acc"] == 357 / 360 and "'samples': 360" in lines[-1]
    assert (record["method"], record["levels"], record["dataset"]) == ("LDNQ", 3, "digits")
    assert record["cost"]["quantized_weight_bits"] == 2 and record["versions"]["mindspore"]
    assert 12 * storage.shipped("digits").stat().st_size <= storage.shipped("digits", "float").stat().st_size


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--kbits", 4], "levels"),
        (["--levels", 0], "levels"),
        (["--ratio", 0], "ratio"),
        (["--ratio", 1.01], "ratio"),
        (["--ratio", "nan"], "ratio"),
        (["--ratio", 0.001], "raise --ratio"),
        (["--num_images", 41], "holds 40"),
        (["--num_images", 1], "num_images"),
        (["--model_name", "resnet32"], "found those of resnet20"),
        (["--arch", "ResNet99"], "arch"),
        (["--model_name", "ResNet18-ImageNet"], "takes imagenet"),
        (["--dataset_name", "ImageNet"], "takes digits or cifar10"),
        (["--dataset_name", "MNIST"], "dataset"),
        (["--pretrained", "absent.pth"], "absent.pth"),
        (["--dataset_path", "nowhere"], "nowhere"),
        (["--quantized_first_and_last", "maybe"], "true or false"),
        (["--granularity", "group"], "granularity"),
        (["--rho", 0], "rho"),
        (["--unknown", 1], "unknown"),
    ],
)
def test_bad_options_are_refused_in_one_line(capsys, tmp_path, published, tiny_cifar, words, expected):
    good = ["--dataset", "cifar10", "--dataset_path", tiny_cifar, "--pretrained", published, "--output_dir", tmp_path]
    assert expected in refused(capsys, quantization, *good, *words)


def test_a_torch_file_of_another_network_is_refused(capsys, tmp_path, tiny_cifar):
    torch = pytest.importorskip("torch")
    torch.save({"conv1.weight": torch.zeros(16, 3, 3, 3)}, tmp_path / "other.pth")
    words = ["--dataset", "cifar10", "--dataset_path", tiny_cifar, "--pretrained", tmp_path / "other.pth"]
    assert "missing" in refused(capsys, quantization, *words, "--output_dir", tmp_path)


def test_ratio_is_of_the_training_images():
    assert calibration_count(50_000, 0.01, None) == 500
    assert calibration_count(50_000, 0.01, 7) == 7


@pytest.mark.training
def test_a_float_network_is_trained_and_trained_further_as_documented(capsys, tmp_path, tiny_cifar):
    words = ["--dataset", "cifar10", "--dataset_path", tiny_cifar, "--epochs", 1, "--batch_size", 20]
    lines = run(capsys, train, *words, "--output_dir", tmp_path)
    assert (tmp_path / "resnet20_cifar10.ckpt").exists() and "test accuracy" in lines[-1]
    lines = run(capsys, train, *words, "--output_dir", tmp_path, "--resume", "--lr=0.01")
    assert (tmp_path / "lr_0.01" / "resnet20_cifar10.ckpt").exists()
    assert "final.ckpt" in lines[0]


@pytest.mark.training
def test_the_whole_method_on_imagenet_images(capsys, tmp_path, shared):
    from mindspore import set_seed

    from common.models.registry import model

    set_seed(0)
    network = model("resnet18").build(1000)
    about = {"kind": "float", "network": "resnet18", "num_classes": 1000}
    checkpoint.save(tmp_path / "float.ckpt", network_state.state(network), about)
    data = shared / "data" / "imagenet_sample"
    words = ["--model_name=resnet18", "--dataset_name=ImageNet", "--dataset_path", data]
    words += ["--wnids", data / "wnids.txt", "--pretrained", tmp_path / "float.ckpt", "--num_images", 8, "--views", 1]
    words += ["--steps", 1, "--refine_steps", 1, "--match_batch_size", 4, "--batch_size", 14]
    lines = run(capsys, quantization, *words, "--output_dir", tmp_path / "run")
    assert "'samples': 42" in lines[-1]
    assert len(storage.load(tmp_path / "run" / "resnet18_3levels.ckpt").layers) == 21


def test_the_results_table_groups_seeds():
    base = {"network": "resnet20", "data": "lossless", "granularity": "", "images": "", "seed": ""}
    base |= {"mixed_views": "", "refine_steps": "", "refine_by": ""}
    rows = [{**base, "levels": "float", "top1": "91.00"}]
    for seed, top1 in ((1, "89.00"), (2, "90.00")):
        varied = {
            "levels": "3",
            "granularity": "channel",
            "mixed_views": "2",
            "refine_steps": "4",
            "refine_by": "adam",
            "images": "500",
            "seed": str(seed),
        }
        rows.append({**base, **varied, "top1": top1, "seconds": "10", "file_bytes": "5"})
    text = table_of(rows, "lossless").splitlines()
    assert len(text) == 4 and "89.50 ± 0.71" in text[3] and "1.50 ± 0.71" in text[3] and "| 2 |" in text[3]
    assert table_of(rows, "jpeg") == ""
