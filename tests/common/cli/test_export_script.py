"""What all ``export.py`` share: the file appears whole and only after its logits were compared."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from export_tiny import Tiny, images, seeded
from mindspore import Tensor

from common.cli import config
from common.cli import export as script
from common.cli.entry_point import entry_point
from common.data import DIGITS
from common.errors import ConfigError, ExportError
from common.export import mindir
from common.export.parity import FAST, Parity, compare_arrays
from common.kernels.custom import use_native, without_native
from common.stored.network import StoredNetwork

pytestmark = pytest.mark.usefixtures("pynative")


def parsed(*words):
    parser = script.add_options(config.build_parser(""), "Tiny")
    few = ["--num_samples", "6", "--batch_size", "4", "--mode", "pynative"]
    return script.export_options(config.parse(parser, [*map(str, words), *few]))


@entry_point
def main(*words):
    """An ``export.py`` of the tiny network."""
    stored, again = (StoredNetwork(seeded(Tiny(), seed), METADATA) for seed in (0, 1))
    script.run(
        parsed(*words),
        shipped=lambda dataset: Path("checkpoints/tiny.ckpt"),
        load=lambda path: stored,
        integers=lambda stored: {},
        again=lambda stored: again,
        check=lambda name, dataset: None,
    )


METADATA = {"network": "Tiny", "num_classes": 10, "preprocessing": DIGITS.to_dict()}


def refused(capsys, *words) -> str:
    with pytest.raises(SystemExit) as caught:
        main(*words)
    error = capsys.readouterr().err.splitlines()[-1]
    assert caught.value.code == 2 and error.startswith("error: ")
    return error


def test_a_mindir_file_of_the_networks_parameters(tmp_path, capsys):
    file, record = tmp_path / "tiny.mindir", tmp_path / "out.json"
    main("--output", file, "--json", record)
    lines = capsys.readouterr().out.splitlines()
    assert re.match(r"parity on 6 images: logits up to .* differ by .*; top-1 is the same on all images$", lines[-2])
    assert lines[-1].startswith(
        f"written: {file}, {file.stat().st_size:,} bytes, for batches of 4 images; read by MindSp"
    )
    result = json.loads(record.read_text())
    assert (result["samples"], result["same_top_1"], result["format"], result["network"]) == (6, 6, "mindir", "Tiny")
    assert result["bytes"] == file.stat().st_size and result["largest_difference"] < 1e-4 < result["largest_logit"]
    batch = images(4)
    expected = seeded(Tiny())(Tensor(batch)).asnumpy()
    np.testing.assert_allclose(mindir.decode(file.read_bytes())(batch), expected, atol=1e-5)
    assert {path.name for path in tmp_path.iterdir()} == {"tiny.mindir", "out.json"}


def test_the_file_is_named_by_the_checkpoint(tmp_path, capsys):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    main("--output_dir", tmp_path / "new", "--format", "onnx")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["tiny.onnx"]
    assert (
        capsys.readouterr()
        .out.splitlines()[-1]
        .endswith("for any number of images; opset 13, read by onnxruntime 1.6 or newer")
    )


@pytest.mark.parametrize(
    "output, expected",
    [
        ("missing/tiny.mindir", r"output: expected a file in a folder that exists, found no .*missing; make it$"),
        ("tiny.onnx", r"output: expected the name of a file that ends in .mindir, found .*tiny.onnx$"),
        ("folder.mindir", r"output: expected the name of a file .* found .*folder.mindir$"),
    ],
)
def test_a_place_where_no_file_can_be_is_refused_at_once(tmp_path, capsys, output, expected):
    (tmp_path / "folder.mindir").mkdir()
    assert re.search(expected, refused(capsys, "--output", tmp_path / output))
    assert [path.name for path in tmp_path.iterdir()] == ["folder.mindir"]


def test_missing_packages_are_one_clear_line(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    line = refused(capsys, "--format", "onnx", "--output", tmp_path / "tiny.onnx")
    assert "found no onnx and no onnxruntime; install them with pip install -e '.[onnx]'" in line


def test_a_file_that_computes_something_else_is_not_written(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(mindir, "encode", lambda *_: b"")
    monkeypatch.setattr(mindir, "decode", lambda _: lambda images: np.eye(4, 10, dtype=np.float32))
    line = refused(capsys, "--output", tmp_path / "tiny.mindir")
    assert "expected a median difference of at most" in line and line.endswith("no file was written")
    assert not list(tmp_path.iterdir())


def test_an_interruption_leaves_the_file_that_was_there(monkeypatch, capsys, tmp_path):
    def interrupted(*_):
        raise KeyboardInterrupt

    file = tmp_path / "tiny.mindir"
    file.write_bytes(b"before")
    monkeypatch.setattr(mindir, "encode", lambda *_: b"after")
    monkeypatch.setattr(mindir, "decode", lambda _: interrupted)
    with pytest.raises(SystemExit) as caught:
        main("--output", file)
    assert caught.value.code == 130 and file.read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.mindir"]


def test_a_folder_that_cannot_be_written_is_one_clear_line(monkeypatch, capsys, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(script, "_made", lambda *_: (b"", lambda images: np.zeros((4, 10), np.float32)))
    monkeypatch.setattr(Parity, "check", lambda self: None)
    assert "output: cannot write" in refused(capsys, "--output_dir", tmp_path / "file" / "below")


def test_the_fast_form_is_one_of_onnx_files(capsys, tmp_path):
    line = refused(capsys, "--form", "fast", "--output", tmp_path / "tiny.mindir")
    assert line == "error: form: fast is one of ONNX files, found --format mindir; add --format onnx"
    assert not list(tmp_path.iterdir())


def test_top_1_is_counted_image_by_image():
    network, batch = seeded(Tiny()), images(8)
    own = network(Tensor(batch)).asnumpy()
    other = own.copy()
    other[[1, 4, 6], own[[1, 4, 6]].argmin(1)] = own.max() + 1.0
    given = iter(np.split(other, 2))
    parity = compare_arrays(network, lambda _: next(given), batch, 4, FAST)
    assert (parity.same_top_1, parity.samples) == (5, 8) and parity.typical < 1e-6
    assert parity.difference == pytest.approx((other - own).max(), rel=1e-6)
    assert str(parity).endswith("(median allowed: 10.0% of the largest); top-1 is the same on 5 images (62.5%)")
    with pytest.raises(ExportError, match=r"another top-1 on at most 10% of the images, found .* and 3 of 8"):
        parity.check()


@pytest.mark.parametrize(
    "parity, kept",
    [
        (Parity(0.05, 3.0, 10.0, 99, 100), True),
        (Parity(0.06, 3.0, 10.0, 100, 100), False),
        (Parity(0.0, 3.0, 10.0, 98, 100), False),
        (Parity(0.0, np.nan, 10.0, 100, 100), False),
        (Parity(np.nan, np.nan, 10.0, 100, 100), False),
    ],
)
def test_what_is_allowed(parity, kept):
    if kept:
        parity.check()
    else:
        with pytest.raises(ExportError):
            parity.check()


def test_native_operators_are_left_out_only_inside_the_block():
    before = use_native(None)
    with without_native(), pytest.raises(ConfigError), without_native():
        assert not use_native(None)
        raise ConfigError("inside")
    assert use_native(None) == before
