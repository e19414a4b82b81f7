"""Evaluate a dynamic network and say what its images chose, or evaluate a static or float one."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from common import report
from common.cli import config
from common.cli.entry_point import entry_point
from common.cli.result import finish
from common.data import open_split
from common.errors import ConfigError
from common.evaluation import Metrics, cost, evaluate_images
from common.models.registry import model, preprocessing_of
from common.runtime import context
from common.stored.network import StoredNetwork
from DynamicQuant import storage
from DynamicQuant.choices import Choices, Recorder
from DynamicQuant.frozen import config_of, load_frozen
from DynamicQuant.network import DynamicNetwork
from DynamicQuant.options import add_options, check_classes, model_name
from DynamicQuant.packing import quantized_layers
from DynamicQuant.plots import plot_bits, plot_examples
from DynamicQuant.quant import DynamicConv2d

_NAMES = {"dorefa": "DoReFa", "pact": "PACT"}


def make_parser() -> config.OptionParser:
    """Options of this script; those of the earlier code keep their names."""
    parser = config.build_parser("Evaluate DynamicQuant.", Path(__file__).parent / "config" / "eval.yaml")
    add_options(parser)
    parser.add_argument("--num_classes", type=config.positive_int, help="the file's own if not given")
    parser.add_argument("--smoothing", type=config.share, default=0.0, help="label smoothing of the loss")
    parser.add_argument("--plots", action="store_true", help="write bits.png and examples.png into output_dir")
    return parser


def label_of(stored: StoredNetwork) -> str:
    """The kind of network in a word or two."""
    settings = config_of(stored)
    if settings is None:
        return "float"
    quantizer = _NAMES[settings.quantizer]
    if settings.static:
        return f"{quantizer} {settings.bits} bits"
    return f"{quantizer} dynamic {'/'.join(map(str, settings.candidates))} bits"


def costs_of(stored: StoredNetwork, path: str | Path, image_size: int, choices: Choices | None) -> dict:
    """The cost of a network; where images differ, their mean."""
    bits = {}
    for name, layer in quantized_layers(stored.network).items():
        dynamic = isinstance(layer, DynamicConv2d)
        own = choices.bits[:, choices.layers.index(name)] if dynamic else layer.quantize_weight.bits.asnumpy()
        bits[name] = (float(own.mean()),) * 2
    described = model(stored.metadata["network"]).build(stored.metadata["num_classes"])
    layers = cost.trace(described, (3, image_size, image_size), bits=bits)
    found = cost.summary(layers, Path(path).stat().st_size)
    if choices is not None:
        ends = sum(layer.bit_operations for layer in layers if layer.name not in bits)
        found["bit_operations"] = ends + float(choices.operations.mean())
    return found


def show(choices: Choices) -> None:
    """Print what was chosen: the set, the layers, the classes."""
    figures = choices.summary()
    bits, operations = figures["bits"], figures["bit_operations"]
    print(report.text_table(choices.of_layers(), list(choices.of_layers()[0]), dict.fromkeys(_formats(choices), ".3f")))
    print(report.text_table(choices.of_classes(), list(choices.of_classes()[0]), {"bits": ".3f", "of static": ".4f"}))
    print(f"bits of dynamic layers: mean {bits['mean']:.3f}, deviation over images {bits['deviation']:.3f}")
    giga = {name: f"{value / 1e9:.4f} G" for name, value in operations.items() if name != "formula"}
    print("bit operations per image: " + ", ".join(f"{name} {value}" for name, value in giga.items()))
    static = f"static {choices.config.bits} bits: {choices.static_operations / 1e9:.4f} G"
    print(f"{static}, of which the mean is {figures['share_of_static']:.4f}")
    print(
        f"choices: entropy {figures['entropy']:.3f} bits of at most {np.log2(len(choices.config.candidates)):.3f} on"
        f" average over layers, {figures['different_choices']} different ones of {len(choices.index)} images"
    )


def _formats(choices: Choices) -> list[str]:
    return ["bits", "entropy", *(f"{width} bits" for width in choices.config.candidates)]


def smoothed(metrics: Metrics, recorder: Recorder, smoothing: float) -> Metrics:
    """Metrics with the loss against smoothed labels."""
    spread = recorder.uniform_loss(metrics.samples)
    return replace(metrics, loss_sum=(1 - smoothing) * metrics.loss_sum + smoothing * spread)


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Load, evaluate, report."""
    args = config.parse(make_parser(), argv)
    context.setup(args.device_target, args.mode, args.seed, args.threads)
    path = args.checkpoint_path or storage.shipped(args.dataset)
    stored = load_frozen(path, model_name(args), args.num_classes)
    model(stored.metadata["network"], args.dataset)
    dynamic = isinstance(stored.network, DynamicNetwork)
    if args.plots and not dynamic:
        raise ConfigError(f"plots: they show the choices of a dynamic network, found {label_of(stored)} in {path}")
    images = open_split(args, "test")
    check_classes(images, stored.metadata["num_classes"])
    preprocessing = preprocessing_of(args.dataset, stored.metadata)
    label = label_of(stored)
    print(f"{stored.metadata['network']}, {label}" + ("" if label == "float" else ", first and last layer float"))
    recorder, choices = Recorder(stored.network), None
    metrics = evaluate_images(recorder, images, preprocessing, args.batch_size, label)
    metrics = smoothed(metrics, recorder, args.smoothing)
    if dynamic:
        settings, network = config_of(stored), stored.network
        choices = Choices(recorder.index(len(images)), images.labels, settings, network.dynamic, network.macs)
        show(choices)
    if args.plots:
        args.output_dir.mkdir(parents=True, exist_ok=True)
        plot_bits(choices, args.output_dir / "bits.png")
        plot_examples(choices, images, preprocessing, args.output_dir / "examples.png")
    record = {"method": storage.METHOD, "network": stored.metadata["network"], "kind": stored.kind, "bits": label}
    record |= {"dataset": args.dataset, "choices": choices.summary()} if dynamic else {"dataset": args.dataset}
    record["cost"] = costs_of(stored, path, preprocessing.image_size, choices)
    finish(args, metrics, path, record)


if __name__ == "__main__":
    main()
