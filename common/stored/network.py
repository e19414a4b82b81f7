"""A network from a file, of any method.

==========  ===========================================  ================================================
kind        holds                                        made by
==========  ===========================================  ================================================
``float``   a float network of any method, or published  training without quantization
``latent``  float weights and quantizers' parameters     ``final.ckpt`` of training with it
``packed``  codes at their real width, nothing latent    the end of training, calibration or conversion
==========  ===========================================  ================================================
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mindspore import nn

from common.quant.integer_weight import IntegerLayer

KINDS = ("float", "latent", "packed")


@dataclass(frozen=True, eq=False)
class StoredNetwork:
    """A network and what its file records.

    Attributes:
        network: ready to evaluate; a ``latent`` one also to be trained.
        metadata: ``kind``, ``network`` (the architecture), ``num_classes``, ``settings`` of a quantized one, and what
            else was recorded.
        layers: integers of the quantized layers by name, of a ``packed`` one.
    """

    network: nn.Cell
    metadata: dict[str, Any]
    layers: Mapping[str, IntegerLayer] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """One of ``KINDS``."""
        return self.metadata["kind"]
