"""Cost of bits: against counts from shapes, by hand, and as the script prints it."""

import json

import numpy as np
import pytest
from proqha_tiny import ACTIVATIONS, LAYERS, TAPS, WEIGHTS, quantized, stored, tiny
from script_runs import refused, run

from common import checkpoint
from common.checkpoint import network_state
from ProQHA import measure, storage
from ProQHA.measure import CostModel, cost_model, mixed_bits, table

pytestmark = pytest.mark.usefixtures("tiny_model")
BITS = np.array([[3, 8], [2, 5], [7, 4], [6, 2]])
SIZES = CostModel(tuple(LAYERS), *(np.array(sizes, float) for sizes in (WEIGHTS, ACTIVATIONS, TAPS)))


@pytest.mark.parametrize("make", [tiny, quantized], ids=["float", "quantized"])
def test_sizes_of_a_small_network(make, mode):
    found = cost_model(make(), 8)
    assert found.names == tuple(LAYERS)
    assert (found.weights.tolist(), found.activations.tolist(), found.taps.tolist()) == (WEIGHTS, ACTIVATIONS, TAPS)


def test_costs_by_hand():
    bits, weights, taps = BITS.tolist(), sum(WEIGHTS), sum(TAPS)
    found = SIZES.summary(BITS)
    assert found["cost"] == pytest.approx(sum(b[0] * w for b, w in zip(bits, WEIGHTS)) / (32 * weights))
    assert found["average_weight_bits"] == pytest.approx(32 * found["cost"])
    mean = sum(b[1] * a for b, a in zip(bits, ACTIVATIONS)) / sum(ACTIVATIONS)
    assert found["average_activation_bits"] == pytest.approx(mean)
    operations = [b[0] * b[1] * t for b, t in zip(bits, TAPS)]
    assert SIZES.bit_operations(BITS).tolist() == operations and found["bit_operations"] == sum(operations)
    assert found["compute_cost"] == pytest.approx(sum(operations) / (1024 * taps))


def test_costs_of_many_candidates_at_once():
    many = np.random.default_rng(0).integers(2, 9, (7, 4, 2))
    assert SIZES.storage(many) == pytest.approx([SIZES.storage(one) for one in many])
    assert SIZES.compute(many) == pytest.approx([SIZES.compute(one) for one in many])
    assert SIZES.bit_operations(many).shape == (7, 4)


@pytest.mark.parametrize("bits", range(2, 9))
def test_uniform_bits_cost_their_share_of_32(bits):
    uniform = np.full((4, 2), bits)
    found = SIZES.summary(uniform)
    assert found["cost"] == bits / 32 and found["compute_cost"] == pytest.approx((bits / 32) ** 2)
    assert SIZES.averages(uniform) == (bits, bits)


def test_the_first_share_of_the_quantizers_has_the_first_bits():
    assert mixed_bits(3, 2, 8, 1.0).tolist() == [[2, 2]] * 3
    assert mixed_bits(3, 2, 8, 0.5).tolist() == [[2, 2], [2, 8], [8, 8]]
    assert mixed_bits(2, 4, 6, 0.01).tolist() == [[6, 6]] * 2


def cells(line: str) -> list[str]:
    return line.replace(",", "").split()


def read(lines: list[str]) -> tuple[list[list], list]:
    """The lines of the layers and that of the totals of a printed table."""
    body = [[name, *map(float, rest)] for name, *rest in map(cells, lines[2:])]
    return body[:-1], body[-1]


def test_totals_of_the_table_are_the_sums_of_its_lines():
    layers, totals = read(table(SIZES, BITS).splitlines())
    assert [line[0] for line in layers] == LAYERS and totals[0] == "all"
    assert [line[1:3] for line in layers] == BITS.tolist()
    assert [line[3:6] for line in layers] == [list(sizes) for sizes in zip(WEIGHTS, ACTIVATIONS, TAPS)]
    assert [line[7] for line in layers] == SIZES.bit_operations(BITS).tolist()
    assert totals[1:3] == pytest.approx(SIZES.averages(BITS), abs=5e-4)
    for column in (3, 4, 5, 7):
        assert totals[column] == sum(line[column] for line in layers)
    assert totals[6] == pytest.approx(sum(line[6] for line in layers), abs=2)  # of rounded bytes
    assert totals[6] == pytest.approx((BITS[:, 0] * WEIGHTS).sum() / 8, abs=0.5)


@pytest.mark.parametrize(("bits", "cost"), [(5, 0.15625), (3, 0.09375)])
def test_resnet18_costs_what_is_published_for_uniform_bits(tmp_path, bits, cost):
    lines = run(measure, "--arch", "resnet18", "--k_bits", bits, "--json", tmp_path / "out.json")
    record = json.loads((tmp_path / "out.json").read_text())
    assert (record["network"], record["cost"], len(record["layers"])) == ("resnet18", cost, 16)
    assert lines[-1].startswith(f"resnet18: cost {cost:.6g}, compute_cost {(bits / 32) ** 2:.6g}, average_")
    layers, totals = read(lines[:-1])
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
    lines = run(measure, *words, "--bits", *BITS.ravel())
    record = json.loads((tmp_path / "out.json").read_text())
    assert record["layers"] == [{"layer": name, "bits": pair} for name, pair in zip(LAYERS, BITS.tolist())]
    sizes = cost_model(tiny(), 32)
    assert {key: record[key] for key in sizes.summary(BITS)} == pytest.approx(sizes.summary(BITS))
    assert lines[:-1] == table(sizes, BITS).splitlines()


def test_bits_of_a_file_are_measured_and_others_on_request(tmp_path):
    network = stored()
    checkpoint.save(tmp_path / "best.ckpt", network_state.state(network.network), network.metadata)
    storage.save_packed(tmp_path / "net.ckpt", network)
    sizes, own = cost_model(tiny(), 32), np.array([[3, 8], [2, 5], [7, 4], [3, 2]])
    for name in ("best.ckpt", "net.ckpt"):
        lines = run(measure, "--checkpoint_path", tmp_path / name)
        assert lines[:-1] == table(sizes, own).splitlines() and lines[-1].startswith("Tiny: cost ")
        lines = run(measure, "--checkpoint_path", tmp_path / name, "--bits", *BITS.ravel())
        assert lines[:-1] == table(sizes, BITS).splitlines()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--bits", 8, 8, 4], "bits: expected 8 numbers, of weights and input of 4 layers in turn, found 3"),
        (["--bits", 1], "bits: expected 2 to 8"),
        (["--k_bits", 9], "k_bits: expected 2 to 8"),
        (["--pre_k_bits", 1], "pre_k_bits"),
        (["--ratio", 0], "ratio"),
        (["--arch", "alexnet"], "arch: expected one of"),
        (["--checkpoint_path", "absent.ckpt"], "absent.ckpt"),
    ],
)
def test_bad_options_are_refused_in_one_line(capsys, words, expected):
    assert expected in refused(capsys, measure, "--arch", "tiny", *words)
