"""Cost of bits as the script prints it."""

import json

import numpy as np
import pytest
from proqha_table import read_table
from proqha_tiny import LAYERS, stored, tiny
from script_runs import refused, run

from common import checkpoint
from common.checkpoint import network_state
from ProQHA import measure, storage
from ProQHA.cost_model import cost_model, table

pytestmark = pytest.mark.usefixtures("tiny_model")
BITS = np.array([[3, 8], [2, 5], [7, 4], [6, 2]])


@pytest.mark.parametrize(("bits", "cost"), [(5, 0.15625), (3, 0.09375)])
def test_resnet18_costs_what_is_published_for_uniform_bits(tmp_path, bits, cost):
    lines = run(measure, "--arch", "resnet18", "--k_bits", bits, "--json", tmp_path / "out.json")
    record = json.loads((tmp_path / "out.json").read_text())
    assert (record["network"], record["cost"], len(record["layers"])) == ("resnet18", cost, 16)
    assert lines[-1].startswith(f"resnet18: cost {cost:.6g}, compute_cost {(bits / 32) ** 2:.6g}, average_")
    layers, totals = read_table(lines[:-1])
    assert len(layers) == 16 and totals[3] == sum(line[3] for line in layers) == 10_985_472
    assert totals[1:3] == [bits, bits] and totals[5] == sum(line[5] for line in layers) == 1_676_279_808


def test_the_documented_command_measures_resnet50():
    words = ["--arch", "resnet", "--num_layers", 50, "--k_bits", 2, "--pre_k_bits", 8, "--ratio", 1.0]
    lines = run(measure, *words)
    assert lines[-1].startswith("resnet50: cost 0.0625, compute_cost 0.00390625")


def test_mixed_bits_of_the_script(tmp_path):
    words = ["--arch", "tiny", "--json", tmp_path / "out.json"]
    run(measure, *words, "--k_bits", 3, "--pre_k_bits", 6, "--ratio", 0.6)
    record = json.loads((tmp_path / "out.json").read_text())
    assert [layer["bits"] for layer in record["layers"]] == [[3, 3], [3, 3], [3, 6], [6, 6]]
    lines = run(measure, *words, "--layer_bits", *BITS.ravel())
    record = json.loads((tmp_path / "out.json").read_text())
    assert record["layers"] == [{"layer": name, "bits": pair} for name, pair in zip(LAYERS, BITS.tolist())]
    sizes = cost_model(tiny(), 32)
    assert {key: record[key] for key in sizes.summary(BITS)} == pytest.approx(sizes.summary(BITS))
    assert lines[:-1] == table(sizes, BITS).splitlines()


def test_bits_of_a_file_are_measured_and_others_on_request(tmp_path):
    network = stored()
    checkpoint.save(tmp_path / "final.ckpt", network_state.state(network.network), network.metadata)
    storage.save_packed(tmp_path / "net.ckpt", network)
    sizes, of_file = cost_model(tiny(), 32), np.array([[3, 8], [2, 5], [7, 4], [3, 2]])
    for name in ("final.ckpt", "net.ckpt"):
        lines = run(measure, "--checkpoint_path", tmp_path / name)
        assert lines[:-1] == table(sizes, of_file).splitlines() and lines[-1].startswith("Tiny: cost ")
        lines = run(measure, "--checkpoint_path", tmp_path / name, "--layer_bits", *BITS.ravel())
        assert lines[:-1] == table(sizes, BITS).splitlines()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            ["--layer_bits", 8, 8, 4],
            "expected 8 numbers, of weights and input of 4 layers in turn, found 3",
        ),
        (["--layer_bits", 1], "layer_bits: expected 2 to 8"),
        (["--bits", 9], "bits: expected 2 to 8"),
        (["--pre_k_bits", 1], "pre_k_bits"),
        (["--ratio", 0], "ratio"),
        (["--arch", "alexnet"], "arch: expected one of"),
        (["--checkpoint_path", "absent.ckpt"], "absent.ckpt"),
    ],
)
def test_bad_options_are_refused_in_one_line(capsys, words, expected):
    assert expected in refused(capsys, measure, "--arch", "tiny", *words)
