"""Figures of a network of DynamicQuant in a report: kind, cost, and the choices of the images."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from common.cli.evaluation import Evaluation, Measured, Summary
from common.errors import ConfigError
from common.evaluation import Metrics, cost
from common.models.registry import model
from common.report import text_table
from common.stored.network import StoredNetwork
from DynamicQuant import storage
from DynamicQuant.choices import ChoiceRecorder, Choices
from DynamicQuant.frozen import config_of
from DynamicQuant.network import Decisions, DynamicNetwork
from DynamicQuant.options import ReportOptions
from DynamicQuant.packing import quantized_layers
from DynamicQuant.plots import plot_bits, plot_examples
from DynamicQuant.quant import DynamicConv2d

_NAMES = {"dorefa": "DoReFa", "pact": "PACT"}


def kind_of(stored: StoredNetwork) -> str:
    """The kind of a network in a word or two."""
    config = config_of(stored)
    if config is None:
        return "float"
    quantizer = _NAMES[config.quantizer]
    if config.static:
        return f"{quantizer} {config.bits} bits"
    return f"{quantizer} dynamic {'/'.join(map(str, config.candidates))} bits"


def summarize(stored: StoredNetwork, path: Path, options: ReportOptions) -> Summary:
    """Method, network and bits; :func:`measure` adds the cost, which depends on what images choose.

    Raises:
        ConfigError: pictures of a network that has no choices.
    """
    label, network = kind_of(stored), stored.metadata["network"]
    if options.plots and not isinstance(stored.network, DynamicNetwork):
        raise ConfigError(f"plots: they show the choices of a dynamic network, found {label} in {path}")
    headline = f"{network}, {label}" + ("" if label == "float" else ", first and last layer float")
    return Summary(headline, label, {"method": storage.METHOD, "network": network, "kind": stored.kind, "bits": label})


def measure(evaluation: Evaluation, options: ReportOptions) -> Measured:
    """Metrics of a network, its cost, and of a dynamic one what its images chose, which is also printed."""
    network, recorder = evaluation.stored.network, ChoiceRecorder()
    dynamic = isinstance(network, DynamicNetwork)
    in_float = dynamic and evaluation.engine.network is network  # the engine gives its choices by itself
    metrics = evaluation.measure(Decisions(network) if in_float else None, recorder)
    metrics = smoothed(metrics, recorder, options.smoothing)
    choices, record = None, {}
    if dynamic:
        choices = recorder.choices(evaluation.images.labels, config_of(evaluation.stored), network)
        print(*lines_of(choices), sep="\n")
        record = {"choices": choices.summary()}
    if options.plots:
        folder = evaluation.options.output_dir
        folder.mkdir(parents=True, exist_ok=True)
        plot_bits(choices, folder / "bits.png")
        plot_examples(choices, evaluation.images, evaluation.preprocessing, folder / "examples.png")
    size = evaluation.preprocessing.image_size
    return metrics, {**record, "cost": cost_of(evaluation.stored, evaluation.path, size, choices)}


def smoothed(metrics: Metrics, recorder: ChoiceRecorder, smoothing: float) -> Metrics:
    """Metrics with the loss against smoothed labels."""
    spread = recorder.uniform_loss(metrics.samples)
    return replace(metrics, loss_sum=(1 - smoothing) * metrics.loss_sum + smoothing * spread)


def summarize_image(stored: StoredNetwork, path: Path, image_size: int, index: np.ndarray | None) -> Summary:
    """Method, network, and the cost of one image.

    Args:
        stored: network with its metadata.
        path: file of the network.
        image_size: side of the image in pixels.
        index: number of the candidate that the image took in each dynamic layer, (1, L); None of a static network.
    """
    network, config, choices = stored.network, config_of(stored), None
    if index is not None:
        choices = Choices(index, np.zeros(1, np.int64), config, network.dynamic, network.macs)
    label = kind_of(stored)
    record = {"method": storage.METHOD, "network": stored.metadata["network"], "label": label}
    return Summary(label, label, {**record, "cost": cost_of(stored, path, image_size, choices)})


def cost_of(stored: StoredNetwork, path: Path, size: int, choices: Choices | None) -> dict[str, Any]:
    """The cost of a network on images of a side; where images differ, their mean."""
    bits = {}
    for name, layer in quantized_layers(stored.network).items():
        dynamic = isinstance(layer, DynamicConv2d)
        widths = choices.bits[:, choices.layers.index(name)] if dynamic else layer.quantize_weight.bits.asnumpy()
        bits[name] = (float(widths.mean()),) * 2
    described = model(stored.metadata["network"]).build(stored.metadata["num_classes"])
    layers = cost.trace(described, (3, size, size), bits=bits)
    record = cost.summary(layers, path.stat().st_size)
    if choices is not None:
        ends = sum(layer.bit_operations for layer in layers if layer.name not in bits)
        record["bit_operations"] = ends + float(choices.operations.mean())
    return record


def lines_of(choices: Choices) -> list[str]:
    """Lines about the choices: layers, classes, the whole set."""
    figures, widths = choices.summary(), choices.config.candidates
    bits, operations = figures["bits"], figures["bit_operations"]
    giga = {name: f"{value / 1e9:.4f} G" for name, value in operations.items() if name != "formula"}
    static = f"static {choices.config.bits} bits: {choices.static_operations / 1e9:.4f} G"
    return [
        _table(choices.of_layers(), dict.fromkeys(["bits", "entropy", *(f"{width} bits" for width in widths)], ".3f")),
        _table(choices.of_classes(), {"bits": ".3f", "of static": ".4f"}),
        f"bits of dynamic layers: mean {bits['mean']:.3f}, deviation over images {bits['deviation']:.3f}",
        "bit operations per image: " + ", ".join(f"{name} {value}" for name, value in giga.items()),
        f"{static}, of which the mean is {figures['share_of_static']:.4f}",
        f"choices: entropy {figures['entropy']:.3f} bits of at most {np.log2(len(widths)):.3f} on average over layers, "
        f"{figures['different_choices']} different ones of {len(choices.index)} images",
    ]


def _table(rows: list[Mapping[str, Any]], formats: Mapping[str, str]) -> str:
    return text_table(rows, list(rows[0]), formats)
