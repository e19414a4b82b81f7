"""State of a cascade, and ``cascade.ckpt``, the file from which a killed one goes on."""

import hashlib
import json
import time
from collections import defaultdict
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from mindspore import Parameter, Tensor, nn

from common import checkpoint
from common.checkpoint import network_state
from common.errors import CheckpointError
from LDNQ.calibration_set import CalibrationSet
from LDNQ.latent import LevelledParameter
from LDNQ.plan import Plan
from LDNQ.quant_config import QuantConfig

_NETWORK = "network/"


@dataclass(eq=False)
class CascadeState:
    """Progress of a cascade, with all that its next step depends on.

    Attributes:
        network: network between float and quantized, changed in place.
        levelled: parameters that are quantized sooner or later, by name.
        momentum: momentum of the training step, one of each trained parameter.
        records: effect of quantization on each finished layer.
        refined: number of finished steps of the refinement.
        seconds: time spent in each stage, in seconds.
    """

    network: nn.Cell
    levelled: Mapping[str, LevelledParameter]
    momentum: tuple[Parameter, ...]
    records: list[dict[str, Any]] = field(default_factory=list)
    refined: int = 0
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    @contextmanager
    def timed(self, stage: str):
        """Add the time of the ``with`` block to a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] += time.perf_counter() - start

    def save(self, path: Path, fingerprint: Mapping[str, Any]) -> None:
        """Write the state.

        Args:
            path: path of the file.
            fingerprint: fingerprint of the run, see :func:`run_fingerprint`.
        """
        tensors = {f"{_NETWORK}{name}": value for name, value in network_state.state(self.network).items()}
        tensors |= {name: parameter.asnumpy() for name, parameter in self._beside_network().items()}
        about = {"run": fingerprint, "records": self.records, "refined": self.refined, "seconds": dict(self.seconds)}
        checkpoint.save(path, tensors, about)

    def load(self, path: Path, fingerprint: Mapping[str, Any]) -> None:
        """Take over the state of a file.

        Raises:
            CheckpointError: the file is damaged, or belongs to another run.
        """
        content = checkpoint.load(path)
        if content.metadata.get("run") != fingerprint:
            raise CheckpointError(
                f"{path} belongs to another run (configuration, images or float network differ): "
                "choose another --output_dir, or start anew with --no-continue"
            )
        tensors = content.tensors
        network = {name.removeprefix(_NETWORK): tensors[name] for name in tensors if name.startswith(_NETWORK)}
        network_state.restore(self.network, network, path)
        for name, parameter in self._beside_network().items():
            parameter.set_data(Tensor(tensors[name]))
        self.records, self.refined = content.metadata["records"], content.metadata["refined"]
        self.seconds.update(content.metadata["seconds"])

    def _beside_network(self) -> dict[str, Parameter]:
        """All parameters that the network does not have, by their names in the file."""
        parameters = {f"speed/{index}": speed for index, speed in enumerate(self.momentum)}
        for name, levelled in self.levelled.items():
            parameters |= {f"latent/{name}": levelled.latent, f"scale/{name}": levelled.scale}
        return parameters


def run_fingerprint(network: nn.Cell, data: CalibrationSet, config: QuantConfig, plan: Plan) -> dict[str, Any]:
    """Values that must be equal for a run to go on: settings, images and the float network."""
    digest = hashlib.sha256()
    for name, value in sorted(network_state.state(network).items()):
        digest.update(name.encode() + value.tobytes())
    digest.update(data.view(np.arange(len(data)), 0).tobytes())
    images = {"images": len(data), "views": data.views, "mixed": data.mixed, "seed": data.seed}
    settings = {"config": asdict(config), "plan": asdict(plan)}
    return json.loads(json.dumps({**settings, **images, "sha256": digest.hexdigest()}))
