"""The sequence of ``main.py``: float network, images, cascade, the file of the quantized network, its accuracy."""

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from mindspore import nn

from common.cli import saved_config
from common.cli.classes import fit, open_images
from common.cli.engine import choose_engine
from common.cli.entry_point import kept
from common.cli.evaluation import with_accuracy
from common.cli.preprocessing import with_preprocessing
from common.cli.result import finish
from common.cli.run_options import RunOptions
from common.data import ImageSource, Preprocessing
from common.data.matching import class_record
from common.data.overlap import say_shared
from common.evaluation import Metrics, evaluator
from common.models.registry import preprocessing_of
from common.quant.calibration import image_batches
from common.stored.float_network import load_float
from common.stored.network import StoredNetwork
from LDNQ import layer_report, storage
from LDNQ.activations import with_activation_grids
from LDNQ.calibration_set import CalibrationSet, calibration_count, choose_images
from LDNQ.cascade import Cascade
from LDNQ.convert import quantized_network
from LDNQ.levels import code_bits
from LDNQ.options import QuantizationOptions
from LDNQ.report import summarize

Measure = Callable[[nn.Cell], Metrics]


def run(options: RunOptions, chosen: QuantizationOptions) -> None:
    """Quantize a network, write it to ``output_dir`` and, where there are test images, measure it.

    Args:
        options: options that all scripts share.
        chosen: network, levels, images and settings.

    Raises:
        ConfigError: network and images do not fit each other.
        CheckpointError: a file that is no float network, or a folder that holds another run.
        DataError: too few images.
    """
    options.device.set_up()
    file = chosen.pretrained or storage.shipped(options.data.dataset, "float")
    stored = with_preprocessing(options, load_float(file, chosen.arch), file)
    print(_headline(chosen))
    preprocessing = preprocessing_of(options.data.dataset, stored.metadata)
    train, tested = fit(open_images(options.data, "train"), stored.metadata, "train"), _test_images(options, stored)
    data = _calibration_set(options, chosen, train, preprocessing)
    if tested is not None:
        say_shared(data.images, tested)
    test = evaluator(tested, preprocessing, options.batch_size) if tested is not None else None
    saved_config.save(options.values, options.output_dir)
    before = test(stored.network) if test else None
    cascade = _cascade(options, chosen, file, stored.network, data, test)
    with kept(options.output_dir):
        layers = cascade.run(chosen.go_on)
    quantized_network(stored.network, chosen.config, layers)
    finished = StoredNetwork(stored.network, _metadata(options, chosen, stored, data.images, preprocessing), layers)
    if chosen.act_bits:
        finished = with_activation_grids(finished, chosen.act_bits, image_batches(data.images, preprocessing))
    engine = choose_engine(None, finished, preprocessing.image_size, options.device.target)
    after = test(engine.network) if test else None
    path = options.output_dir / _file_name(chosen)
    storage.save_packed(path, with_accuracy(finished, after) if after else finished)
    _report_layers(options.output_dir, cascade, path)
    if test:
        if engine.line:
            print(engine.line)
        drop = 100 * (before.accuracy - after.accuracy)
        print(f"float {100 * before.accuracy:.2f} %, quantized {100 * after.accuracy:.2f} %: drop {drop:.2f} points")
        record = {**summarize(finished, path, preprocessing.image_size).record, "float_acc": before.accuracy}
        record |= engine.record
        state = cascade.state
        finish(options, after, path, {**record, "stages": dict(state.seconds), "layers": state.records})


def _headline(chosen: QuantizationOptions) -> str:
    levels, granularity = chosen.config.levels, chosen.config.granularity
    return f"{chosen.arch}: {levels} levels = {code_bits(levels)} bits per weight, one scale per {granularity}"


def _calibration_set(
    options: RunOptions, chosen: QuantizationOptions, images: ImageSource, preprocessing: Preprocessing
) -> CalibrationSet:
    count = calibration_count(len(images), chosen.images.ratio, chosen.images.count)
    record = options.output_dir / "images.json"
    images = choose_images(images, count, options.seed, record, chosen.images.resample)
    of_views = replace(preprocessing, image_size=chosen.images.size or preprocessing.image_size)
    return CalibrationSet(images, of_views, chosen.images.views, options.seed, chosen.images.mixed)


def _test_images(options: RunOptions, stored: StoredNetwork) -> ImageSource | None:
    """The test images; None where the options name none (digits are built in)."""
    if options.data.dataset != "digits" and options.data.folder("test") is None:
        return None
    return fit(open_images(options.data, "test"), stored.metadata)


def _cascade(
    options: RunOptions,
    chosen: QuantizationOptions,
    file: Path,
    network: nn.Cell,
    data: CalibrationSet,
    test: Measure | None,
) -> Cascade:
    shown = (lambda partly: test(partly).accuracy) if test and chosen.test_layers else None
    teacher = load_float(file, chosen.arch).network if chosen.plan.feature_weight else None
    return Cascade(network, data, chosen.config, chosen.plan, options.output_dir, shown, teacher=teacher)


def _metadata(
    options: RunOptions,
    chosen: QuantizationOptions,
    stored: StoredNetwork,
    images: ImageSource,
    preprocessing: Preprocessing,
) -> dict[str, Any]:
    """Metadata of the packed file, its accuracy apart."""
    before = {key: value for key, value in stored.metadata.get("training", {}).items() if key != "selection"}
    training = {**before, "images": len(images), "seed": options.seed}
    about = {"kind": "packed", "settings": asdict(chosen.config), "training": training}
    about |= {"dataset": options.data.dataset, "preprocessing": preprocessing.to_dict()}
    about |= class_record(images, stored.metadata)
    rest = {key: value for key, value in stored.metadata.items() if key not in ("accuracy", "samples")}
    return {**rest, **about}


def _file_name(chosen: QuantizationOptions) -> str:
    bits = f"_a{chosen.act_bits}" if chosen.act_bits else ""
    return f"{chosen.arch}_{chosen.config.levels}levels{bits}.ckpt"


def _report_layers(folder: Path, cascade: Cascade, path: Path) -> None:
    """Print the layers and the time of each stage; write the layer report."""
    records, seconds = cascade.state.records, cascade.state.seconds
    layer_report.write(folder, records)
    print(layer_report.table(records))
    for stage, time in seconds.items():
        print(f"{stage}: {time:.1f} s")
    print(f"all stages: {sum(seconds.values()):.1f} s; {path}: {path.stat().st_size} bytes")
