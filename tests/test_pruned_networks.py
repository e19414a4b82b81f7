"""Pruned float networks, quantized without training by ``train.py --epochs 0``: as accurate as unpruned ones."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from script_runs import history, run

from common import checkpoint
from common.data import open_dataset
from common.evaluation import evaluator
from common.models.registry import PREPROCESSING
from common.stored.float_network import load_float
from DAMBQ import train as dambq
from DynamicQuant import train as dynamicquant
from LDNQ import main as ldnq
from ProQHA import search
from ProQHA import train as proqha

pytestmark = pytest.mark.slow

FLOAT = 0.9889  # of the shipped network of the digits with a pruned layer; N = 360
State = dict[str, np.ndarray]
_PROQHA = ("--arch", "postresnet20", "--archtype", "quant")
ROWS = {
    "ProQHA-8": (proqha, (*_PROQHA, "--bits", 8, "--pre_k_bits", 8), 1 / 360),
    "ProQHA-4": (proqha, (*_PROQHA, "--bits", 4, "--pre_k_bits", 4), 0.03),
    "static-8": (dynamicquant, ("--static", "--bits", 8), 1 / 360),
    "static-4": (dynamicquant, ("--static", "--bits", 4), 0.03),
    "dynamic-7": (dynamicquant, ("--bits", 7), 1 / 360),  # the candidates are 6, 7 and 8 bits
    "dynamic-4": (dynamicquant, ("--bits", 4), 0.03),
    "DAMBQ-4": (dambq, ("--quantize",), 0.03),
}


def pruned_layer(state: State) -> None:
    """One block's second convolution, whose BatchNorm has seen zeros alone."""
    for name in ("conv2.weight", "bn2.moving_mean", "bn2.beta"):
        state[f"layer3.2.{name}"][:] = 0
    state["layer3.2.bn2.moving_variance"][:] = 1e-14


def pruned_filters(state: State) -> None:
    """Every eighth filter of the first layer, of all shortcuts, and of a convolution inside; tiny or exactly 0."""
    norms = {"conv1": "bn1", "layer2.1.conv1": "layer2.1.bn1", "layer3.0.conv1": "layer3.0.bn1"}
    norms |= {f"layer{stage}.0.downsample.0": f"layer{stage}.0.downsample.1" for stage in (2, 3)}
    for place, (layer, norm) in enumerate(norms.items()):
        if f"{layer}.weight" in state:
            state[f"{layer}.weight"][::8] *= 1e-12 * (place % 2)
            state[f"{norm}.moving_mean"][::8] = 0
            state[f"{norm}.moving_variance"][::8] = 1e-14


def dead_channels(state: State) -> None:
    """Channels that a BatchNorm switches off, and those behind them that see nothing else."""
    for norm in ("layer2.2.bn1", "layer3.1.bn1"):
        state[f"{norm}.gamma"][:4] = state[f"{norm}.beta"][:4] = 0
    state["layer3.2.bn1.gamma"][:] = state["layer3.2.bn1.beta"][:] = 0
    state["layer3.2.bn2.moving_mean"][:] = 0
    state["layer3.2.bn2.moving_variance"][:] = 1e-14


def smallest_weights(state: State) -> None:
    """The smallest 30 % of the weights of each convolution; half of them would be too many for the float network."""
    for value in state.values():
        if value.ndim == 4:
            value[np.abs(value) < np.quantile(np.abs(value), 0.3)] = 0


def written(folder: Path, prune: Callable[[State], None]) -> Path:
    shipped = checkpoint.load(Path(__file__).parents[1] / "common/zoo/files/resnet20_digits.ckpt")
    state = {name: value.copy() for name, value in shipped.tensors.items()}
    prune(state)
    checkpoint.save(folder / "pruned.ckpt", state, shipped.metadata)
    return folder / "pruned.ckpt"


def unquantized(start: Path) -> float:
    """Accuracy of a float network on the test images."""
    evaluate = evaluator(open_dataset("digits", None, "test"), PREPROCESSING["digits"], 120)
    return evaluate(load_float(start, "resnet20").network).accuracy


def accuracy(folder: Path, row: str, start: Path, epochs: int = 0) -> float:
    """Of the test images, of a network that ``train.py`` has only calibrated."""
    script, words, _ = ROWS[row]
    options = ("--dataset", "digits", "--pretrained", start, "--output_dir", folder, "--run_name", "run")
    (*_, line) = run(script, *words, *options, "--epochs", epochs)
    (record,) = history(folder / "run")
    packed = checkpoint.load(folder / "run" / "run.ckpt").metadata
    assert packed["kind"] == "packed" and packed["training"]["epochs"] == 0 and record["test_samples"] == 360
    assert packed["accuracy"] == record["test_acc"] and f"accuracy {record['test_acc']:.4f}" in line
    assert packed["training"]["selection"] == "no training" and "no training" in line
    return record["test_acc"]


def untrained_levels(folder: Path, start: Path, levels: int) -> float:
    """Accuracy of an LDNQ network whose layers were solved and never trained."""
    words = ("--dataset", "digits", "--levels", levels, "--pretrained", start, "--steps", 0, "--refine_steps", 0)
    run(ldnq, *words, "--views", 4, "--output_dir", folder, "--json", folder / "found.json")
    found = json.loads((folder / "found.json").read_text())
    assert found["samples"] == 360
    return found["acc"]


def start_of_a_search(folder: Path, start: Path, bits: int) -> float:
    """Accuracy of the network that a ProQHA search begins with, every quantizer of so many bits."""
    words = ("--arch", "postresnet20", "--dataset", "digits", "--pretrained", start, "--k_bits", bits)
    least = ("--floor", 8, "--search_epochs", 0, "--score_images", 32)  # nothing to lower: the start is the end
    run(search, *words, *least, "--output_dir", folder, "--run_name", "run")
    with (folder / "run" / "search_log.csv").open() as file:
        (first,) = csv.DictReader(file)
    assert first["step"] == "0" and set(first["weight_bits"].split()) == {str(bits)}
    return float(first["test_acc"])


@pytest.mark.parametrize("prune", [pruned_layer, pruned_filters, dead_channels])
def test_eleven_levels_keep_pruned_layers_harmless(prune, tmp_path):
    start = written(tmp_path, prune)
    least = FLOAT if prune is pruned_layer else unquantized(start)
    assert untrained_levels(tmp_path, start, 11) >= least - 0.03 - 1e-4


@pytest.mark.parametrize(("bits", "lost"), [(8, 1 / 360), (4, 0.03)])
def test_a_search_begins_with_as_good_a_network(bits, lost, tmp_path):
    assert start_of_a_search(tmp_path, written(tmp_path, pruned_layer), bits) >= FLOAT - lost - 1e-4


@pytest.mark.parametrize("row", list(ROWS))
def test_a_pruned_layer_costs_as_little_as_the_table_says(row, tmp_path):
    assert accuracy(tmp_path, row, written(tmp_path, pruned_layer)) >= FLOAT - ROWS[row][2] - 1e-4


@pytest.mark.parametrize("row", ["ProQHA-8", "static-8", "dynamic-7", "DAMBQ-4"])
@pytest.mark.parametrize("prune", [pruned_filters, dead_channels, smallest_weights])
def test_other_pruned_weights_cost_what_quantization_costs(prune, row, tmp_path):
    start = written(tmp_path, prune)
    assert accuracy(tmp_path, row, start) >= unquantized(start) - 0.03
