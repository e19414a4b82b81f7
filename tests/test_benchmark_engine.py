"""The benchmark of the integer engine: works, candidates, rows, and the layers' speeds."""

import json

import benchmark
import benchmark_stubs as stubs
import numpy as np
import pytest
from benchmarks import engine, engine_networks, engine_steps, peers, processor
from benchmarks.side_by_side import Kind

from common.engine.compiler import compile_network
from common.engine.interpreter import interpret

NAMES = [
    *("ProQHA W4A4", "ProQHA W8A8", "DAMBQ v2 W2A2", "DAMBQ v2 W4A4", "DAMBQ int8 W2A2", "DAMBQ int8 W4A4"),
    *("DynamicQuant static 4", "DynamicQuant dynamic 3/4/5", "LDNQ ternary A8", "LDNQ 11 levels A8"),
    *("LDNQ ternary A16", "AdderQuant 8 bits", "ours float", "PyTorch eager", "PyTorch compiled", "onnxruntime float"),
    *("OpenVINO float", "onnxruntime int8", "OpenVINO int8"),
]


def test_candidates_are_the_methods_and_the_peers():
    assert list(engine.CANDIDATES) == NAMES
    assert [work.name for work in engine.WORKS] == ["ResNet-20", "ResNet-18", "MobileNetV2"]


@pytest.fixture
def stubbed(monkeypatch):
    """Every candidate is a pause, every package is installed, the frequency is known."""
    for name, kind in engine.CANDIDATES.items():
        monkeypatch.setitem(engine.CANDIDATES, name, Kind(stubs.idle, kind.packages, kind.arguments, kind.patience))
    monkeypatch.setattr(peers, "versions", lambda python: dict.fromkeys(peers.PINNED, "1"))
    monkeypatch.setattr(processor, "frequency", lambda: 1e9)
    layer = {"operation": "integer convolution", "filters": 16, "height": 8, "width": 8, "macs": 3000, "ns": 100.0}
    monkeypatch.setattr(engine_steps, "layers", lambda **_: [dict(layer)])
    monkeypatch.setattr(engine_steps, "tile_peak", lambda _: 60.0)


def test_single_images_of_a_network_that_is_not_there(stubbed, capsys):
    with pytest.raises(SystemExit) as ended:
        benchmark.main(["latency", "--work", "VGG"])
    assert ended.value.code == 2
    assert "--work: expected one of ResNet-20, MobileNetV2, ResNet-18, found 'VGG'" in capsys.readouterr().err


def test_candidates_that_are_asked_for_alone_take_part(stubbed, tmp_path):
    words = ["--rounds", "1", "--json", str(tmp_path / "rows.json"), "--candidates", NAMES[-1], NAMES[1]]
    benchmark.main(["engine", "--batch_size", "1", *words])
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert [row["candidate"] for row in rows] == 3 * [NAMES[1], NAMES[-1]] and "layers" not in rows[0]


def test_rows_are_works_by_candidates_and_the_first_has_layers(stubbed, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(engine, "CANDIDATES", {name: engine.CANDIDATES[name] for name in (NAMES[0], NAMES[-1])})
    benchmark.main(["engine", "--rounds", "1", "--json", str(tmp_path / "rows.json")])
    rows = json.loads((tmp_path / "rows.json").read_text())
    runs = [(row["work"], row["candidate"], row["batch"], row["threads"]) for row in rows]
    sizes = {"ResNet-20": 128, "ResNet-18": 16, "MobileNetV2": 16}
    works = [(work, *run) for work, batch in sizes.items() for run in ((batch, 2), (1, 1))]
    assert runs == [(work, name, batch, threads) for work, batch, threads in works for name in (NAMES[0], NAMES[-1])]
    assert all(row["ms"] > 0 and row["mac_per_cycle"] > 0 for row in rows)
    with_layers = [row for row in rows if "layers" in row]
    assert [(row["work"], row["candidate"]) for row in with_layers] == [
        ("ResNet-20", "ProQHA W4A4"),
        ("ResNet-18", "ProQHA W4A4"),
        ("MobileNetV2", "ProQHA W4A4"),
    ]
    assert with_layers[0]["layers"][0]["mac_per_cycle"] == 30.0 and with_layers[0]["layers"][0]["of_peak"] == 0.5
    assert "of_peak" in capsys.readouterr().out


def test_a_work_and_candidates_are_chosen_by_their_names(stubbed, tmp_path, capsys):
    words = ["engine", "--rounds", "1", "--json", str(tmp_path / "rows.json"), "--work", "MobileNetV2"]
    benchmark.main([*words, "--candidates", "LDNQ 11 levels A8", "onnxruntime int8"])
    rows = json.loads((tmp_path / "rows.json").read_text())
    runs = [(row["candidate"], row["batch"]) for row in rows]
    assert runs == [(name, batch) for batch in (16, 1) for name in ("LDNQ 11 levels A8", "onnxruntime int8")]
    for words, line in ((["--work", "VGG"], "work: expected one of"), (["--candidates", "X"], "candidates: expected")):
        with pytest.raises(SystemExit):
            benchmark.main(["engine", *words])
        assert line in capsys.readouterr().err


def test_a_limit_of_instructions_limits_the_engine():
    assert engine.instruction_set("avx2") == "avx2" and engine.instruction_set("native") == ""


@pytest.mark.parametrize("name", [name for name, kind in engine.CANDIDATES.items() if kind.setup is engine_steps.step])
def test_networks_of_the_engines_candidates_run(name, pynative):
    settings = engine.CANDIDATES[name].arguments
    network = "adder_resnet20" if name == engine.ADDER else "resnet20"
    program = compile_network(engine_networks.description(network=network, side=32, **settings))
    images = np.random.default_rng(0).normal(size=(1, 3, 32, 32)).astype(np.float32)
    logits = interpret(program, images)[:, :10]
    assert np.isfinite(logits).all() and logits.std() > 0


def test_layers_and_the_peak_are_timed(engine_available):
    rows = engine_steps.layers("ProQHA", "resnet20", 32, 2, bits=4)
    assert sum(row["macs"] for row in rows) == engine.WORKS[0].macs
    assert all(row["ns"] > 0 for row in rows) and engine_steps.tile_peak() > 0


@pytest.fixture
def engine_available():
    from common.engine.library import library

    if library() is None:
        pytest.skip("needs a C++ compiler")
