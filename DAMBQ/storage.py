"""Networks of DAMBQ in files: float ones, training states with latent weights, and packed ones to use.

=========  ==================================================================  ======================================
kind       holds                                                               made by
=========  ==================================================================  ======================================
float      a float network of any method, or a published state file            ``train.py``
latent     float weights, scales, bits, clips: training goes on from it       ``final.ckpt`` of ``train.py --quantize``
packed     level numbers in as many bits as each channel has, scales, clips    the end of ``train.py --quantize``
=========  ==================================================================  ======================================
"""

from typing import Any

from mindspore import nn

from common.stored.format import Format
from common.stored.shipped import FLOAT, Shipped
from DAMBQ.convert import quantize_network
from DAMBQ.quant_config import QuantConfig

METHOD = "DAMBQ"


def _quantize(network: nn.Cell, settings: dict[str, Any], frozen: bool) -> None:
    quantize_network(network, QuantConfig.recorded(settings), frozen)


FORMAT = Format(METHOD, _quantize)
load, load_latent, save_packed = FORMAT.load, FORMAT.load_latent, FORMAT.save_packed
shipped = Shipped({"packed": "DAMBQ/checkpoints/resnet20_w2a2_{dataset}.ckpt", "float": FLOAT})
