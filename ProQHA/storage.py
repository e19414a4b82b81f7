"""ProQHA's networks in files, see :mod:`common.stored.network`."""

from pathlib import Path
from typing import Any

from mindspore import nn

from common import checkpoint
from common.models.registry import PREPROCESSING
from common.stored.format import Format
from common.stored.shipped import Shipped
from ProQHA.quant import Settings, quantize_network

METHOD = "ProQHA"


def _quantize(network: nn.Cell, settings: dict[str, Any], frozen: bool) -> None:
    quantize_network(network, settings_of(settings), frozen=frozen)


FORMAT = Format(METHOD, _quantize, trainable="best.ckpt or search.ckpt")
load, load_latent, save_packed = FORMAT.load, FORMAT.load_latent, FORMAT.save_packed
shipped = Shipped(
    {
        "packed": "ProQHA/checkpoints/preact_resnet20_w4_{dataset}.ckpt",
        "float": "ProQHA/checkpoints/preact_resnet20_{dataset}.ckpt",
    }
)


def kind_of(path: str | Path) -> str:
    """Kind of a file's network; ``float`` for published files without metadata."""
    return checkpoint.load(path).metadata.get("kind", "float")


def settings_of(recorded: dict[str, Any]) -> Settings:
    """The settings that a file records."""
    return Settings(**{**recorded, "signed": tuple(recorded["signed"])})


def image_size(dataset: str) -> int:
    """Side of the images of a data set as networks see them."""
    return PREPROCESSING[dataset].image_size
