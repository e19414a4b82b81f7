"""The network that a script evaluates or exports: calibrated now from a float file, or as its file holds it."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from AdderQuant import storage
from AdderQuant.calibration import CalibrationData, calibrate, reestimate
from AdderQuant.packing import integer_layers
from AdderQuant.quant_config import QuantConfig
from common import checkpoint
from common.checkpoint import network_state
from common.cli.classes import fit, open_images
from common.data import DataSelection, ImageSource
from common.data.matching import class_record
from common.errors import ConfigError
from common.models.registry import model, preprocessing_of
from common.stored.network import StoredNetwork

_BITS = 8  # that a float network gets if none are asked for


@dataclass(frozen=True)
class Calibration:
    """Settings that bring a float network to the one that is wanted.

    Attributes:
        bits: bits of weights and inputs, 2 to 8, or 32 for float; None: those of a calibrated file, else 8.
        config: quantization settings; their bits are not read.
        size: number of training images to calibrate with, at most.
        reestimation_batches: number of batches of 128 images that BatchNorm statistics are taken from.
    """

    bits: int | None
    config: QuantConfig
    size: int
    reestimation_batches: int


def prepare(stored: StoredNetwork, calibration: Calibration, data: DataSelection) -> StoredNetwork:
    """The network to evaluate or export.

    Args:
        stored: float network, which is changed, or a calibrated one.
        calibration: settings that are asked for.
        data: data set; its training images are opened only where they are needed.

    Raises:
        ConfigError: the file was calibrated otherwise than is asked for.
        QuantizationError: a layer that the scheme cannot represent.
    """
    if stored.kind != "float":
        check_calibrated(stored.metadata["settings"], calibration)
    elif calibration.bits != 32 or calibration.config.reestimate:
        images = fit(open_images(data, "train"), stored.metadata, "train")
        images = images.sample(min(calibration.size, len(images)), calibration.config.seed)
        return calibrated(stored, calibration, data.dataset, images)
    return stored


def check_calibrated(settings: dict[str, Any], calibration: Calibration) -> None:
    """Refuse options that ask for another network than the calibrated one that a file holds.

    Raises:
        ConfigError: an option differs from the recorded setting.
    """
    config, usual = calibration.config, QuantConfig()
    asked = {name: getattr(config, name) for name in ("scheme", "quantile", "reestimate")}
    asked = {name: value for name, value in asked.items() if value != getattr(usual, name)}
    if calibration.bits is not None:
        asked["bits"] = calibration.bits
    for name, value in asked.items():
        if value != settings[name]:
            raise ConfigError(
                f"{name}: the checkpoint was calibrated with {settings[name]}, found {value}; start from the float "
                "checkpoint"
            )


def calibrated(stored: StoredNetwork, calibration: Calibration, dataset: str, images: ImageSource) -> StoredNetwork:
    """A float network quantized, or at 32 bits only its BatchNorm statistics taken anew; it is changed and used."""
    data = CalibrationData(images, preprocessing_of(dataset, stored.metadata), calibration.reestimation_batches)
    metadata = _metadata(stored.metadata, dataset, data)
    if calibration.bits == 32:
        network = reestimate(stored.network, calibration.config.seed, data)
        return StoredNetwork(network, metadata | {"reestimated": True})
    config = replace(calibration.config, bits=calibration.bits or _BITS)
    metadata |= {"method": storage.METHOD, "kind": "packed", "settings": asdict(config)}
    network = calibrate(stored.network, config, data)
    return StoredNetwork(network, metadata, integer_layers(network))


def _metadata(recorded: dict[str, Any], dataset: str, data: CalibrationData) -> dict[str, Any]:
    """Metadata of a float file without its accuracy, which is not that of the calibrated network."""
    metadata = {key: value for key, value in recorded.items() if key not in ("accuracy", "samples")}
    metadata |= {"dataset": dataset, "preprocessing": data.preprocessing.to_dict()}
    unlike = ("test_acc", "selection")  # of the float network alone
    training = {key: value for key, value in recorded.get("training", {}).items() if key not in unlike}
    metadata["training"] = {**training, "images": len(data.images)}
    return metadata | class_record(data.images, recorded)


def save(path: Path, stored: StoredNetwork) -> None:
    """Write a network to a file: a float one as it is, a calibrated one packed.

    Raises:
        CheckpointError: the file cannot be written.
    """
    if stored.kind == "float":
        checkpoint.save(path, network_state.state(stored.network), {"method": storage.METHOD, **stored.metadata})
    else:
        storage.save_packed(path, stored)


def rebuilt(stored: StoredNetwork) -> StoredNetwork:
    """The network built anew, its parameters not filled."""
    network = model(stored.metadata["network"]).build(stored.metadata["num_classes"])
    if stored.kind != "float":
        network = storage.FORMAT.quantize(network, stored.metadata["settings"], True)
    return replace(stored, network=network)
