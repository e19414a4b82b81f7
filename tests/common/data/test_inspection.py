"""What ``check`` finds in a data folder."""

import numpy as np
import pytest
from PIL import Image

from common.cli.commands import check
from common.data import notices
from common.data.inspection import inspect, parts
from common.errors import DataError


@pytest.fixture
def folder(tmp_path, random_images, write_class_folders):
    """Twenty training and ten test images, one of them in both parts."""
    notices.forget()
    train, test = random_images(20, 1)[0], random_images(10, 2)[0]
    test[3] = train[7]
    write_class_folders(tmp_path / "train", train, np.arange(20) % 10)
    write_class_folders(tmp_path / "test", test, np.arange(10))
    return tmp_path


def run(capsys, folder, *words) -> str:
    check.run([str(folder), *words])
    return capsys.readouterr().out


def test_a_right_folder(folder, capsys):
    out = run(capsys, folder, "--dataset", "cifar10")
    assert f"train: 20 images of 10 classes in {folder / 'train'}" in out and "test: 10 images of 10 classes" in out
    assert out.count("modes: 20 RGB") == 1 and "1 different images are in both parts" in out
    assert out.splitlines()[-1] == f"{folder}: all 30 images can be read"


def test_faults_are_listed_and_counted(folder, capsys):
    for name in ("0000", "0010"):
        (folder / "train" / "airplane" / f"{name}.png").write_bytes(b"<html>")
    Image.new("RGB", (31, 32)).save(folder / "test" / "cat" / "0003.png")
    (folder / "test" / "truck" / "0009.png").rename(folder / "test" / "truck" / "0009.txt")
    with pytest.raises(DataError, match=r"4 faults in 29 images, the first: .*0000\.png: not a readable image"):
        check.run([str(folder), "--dataset", "cifar10", "--faults", "1"])
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("fault: ") for line in lines) == 2 and lines.count("and 1 more faults") == 2
    assert "1 file was skipped, no image by its suffix (1 .txt), such as truck/0009.txt" in lines


def test_images_of_any_size_unless_they_are_to_be_small(folder, capsys):
    Image.new("RGB", (31, 32)).save(folder / "test" / "cat" / "0003.png")
    assert "all 30 images can be read" in run(capsys, folder)


def test_remarks_name_each_file(folder):
    for name in ("0001", "0011"):
        colours = Image.fromarray(np.arange(1024, dtype=np.uint8).reshape(32, 32)).convert("P")
        colours.save(folder / "train" / "automobile" / f"{name}.png", transparency=bytes(64))
    inspection = inspect(parts(folder)[0], False, lambda count: None)
    assert [remark.split(":")[0][-8:] for remark in inspection.remarks] == ["0001.png", "0011.png"]
    assert inspection.modes == {"RGB": 18, "P": 2} and not inspection.faults


def test_files_of_cifar(tmp_path, random_images, write_binary, capsys):
    write_binary(tmp_path / "data_batch_1.bin", *random_images(6, 3))
    write_binary(tmp_path / "test_batch.bin", *random_images(4, 4))
    out = run(capsys, tmp_path)
    assert "train: 6 images of 10 classes" in out and "test: 4 images of 10 classes" in out
    (tmp_path / "test_batch.bin").write_bytes(b"123")
    with pytest.raises(DataError, match=r"test_batch\.bin: expected a multiple of 3073 bytes"):
        check.run([str(tmp_path)])


def test_files_of_cifar100(tmp_path, capsys):
    for split, count in (("train", 5), ("test", 3)):
        (tmp_path / f"{split}.bin").write_bytes(bytes(3074 * count))
    out = run(capsys, tmp_path)
    assert "train: 5 images of 100 classes" in out and "test: 3 images of 100 classes" in out


def test_a_class_called_train(tmp_path, random_images, write_class_folders):
    write_class_folders(tmp_path, random_images(4)[0], np.array([0, 1, 2, 3]), ["apple", "train", "tulip", "wolf"])
    (part,) = parts(tmp_path)
    assert (part.name, list(part.classes), len(part)) == ("data", ["apple", "train", "tulip", "wolf"], 4)


@pytest.mark.parametrize("name", ["absent", "empty"])
def test_nothing_to_check(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=f"{name}: expected"):
        check.run([str(tmp_path / name)])
