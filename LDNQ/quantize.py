"""The cascade of LDNQ: quantize a layer, train what is still float to give the float network's logits, next layer.

Three phases, all from unlabelled images:

1. cascade (the paper): for each layer in turn its Hessian from the quantized layers before it, the layer problem,
   some training steps of everything that is not quantized yet, BatchNorm included.
2. refinement (ours, ``refine_steps`` 0 leaves it out): the codes of all layers may change while the network goes on
   matching, see ``matching.py``.
3. BatchNorm statistics of the finished network.

Several processes share the images of the Hessians and of the BatchNorm statistics; all else they do alike, from the
same numbers, so that they stay in step.

After each layer, and every ``save_every`` steps of the refinement, ``cascade.ckpt`` in the run's folder holds all that
is needed to go on; a run that was killed ends with the same network as one that was not.
"""

import hashlib
import json
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from mindspore import Tensor, nn

from common import checkpoint
from common.checkpoint import network_state
from common.errors import CheckpointError
from common.quant.conv_geometry import conv_geometry
from common.report.progress import Progress
from common.runtime.hooks import reestimate_batch_norm
from LDNQ import admm
from LDNQ.calibration_set import CalibrationSet
from LDNQ.hessian import split_matrix, weight_matrix
from LDNQ.levels import Quantized
from LDNQ.matching import FIXED, FLOAT, FREE, LevelledParameter, MatchStep
from LDNQ.network import quantized_layers
from LDNQ.observation import input_hessian
from LDNQ.plan import Plan
from LDNQ.storage import LayerLevels


class Cascade:
    """Quantizes a float network in place.

    Args:
        network: float.
        data: the calibration images.
        plan: how.
        folder: of the run; made if absent.
        test: accuracy of the network as it is now, shown after each layer; None for none.
    """

    def __init__(
        self,
        network: nn.Cell,
        data: CalibrationSet,
        plan: Plan,
        folder: Path,
        test: Callable[[nn.Cell], float] | None = None,
    ):
        self.network, self.data, self.plan, self.folder, self.test = network, data, plan, Path(folder), test
        self.layers = quantized_layers(network, plan.first_and_last)
        self.levelled = {p.name: LevelledParameter.of(p) for layer in self.layers.values() for p in _parameters(layer)}
        self.states = dict.fromkeys(self.levelled, FLOAT)
        self.step = MatchStep(network, self.levelled, plan.kbits)
        self.records: list[dict[str, Any]] = []
        self.refined = 0
        self.seconds: dict[str, float] = defaultdict(float)

    @property
    def file(self) -> Path:
        """What a run that was killed goes on from."""
        return self.folder / "cascade.ckpt"

    def run(self, resume: bool = True) -> dict[str, LayerLevels]:
        """Quantize to the end and return the levels of each layer.

        Args:
            resume: go on from what the folder holds; otherwise start anew.

        Raises:
            CheckpointError: the folder holds another run, or a damaged one.
            QuantizationError: the weights are not finite, or matching diverges.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        fingerprint = self._fingerprint()
        with self._timed("float network"):
            self.data.teach(self.network)
        if resume and self.file.exists():
            self._load(fingerprint)
        for index in range(len(self.records), len(self.layers)):
            self._layer(index)
            self._save(fingerprint)
        self._refine(fingerprint)
        with self._timed("BatchNorm statistics"):
            reestimate_batch_norm(self.network, self.data.passes(self.plan.statistics_views))
        self.network.set_train(False)
        return self.levels()

    def levels(self) -> dict[str, LayerLevels]:
        """The levels that each layer is on."""
        found = {}
        for name, layer in self.layers.items():
            weight, *bias = (self.levelled[p.name] for p in _parameters(layer))
            scale = weight.scale.asnumpy().reshape(-1)
            scale = scale[:1] if (scale == scale[0]).all() else scale
            found[name] = LayerLevels(weight.levels(), bias[0].levels() if bias else None, scale)
        return found

    def _layer(self, index: int) -> None:
        plan, start = self.plan, time.perf_counter()
        name, layer = list(self.layers.items())[index]
        with self._timed("Hessians"):
            hessian = input_hessian(self.network, layer, self.data.passes(plan.hessian_views))
        with self._timed("layer problems"):
            record = {"layer": name, "weights": int(layer.weight.size), **self._solve(layer, hessian)}
        for parameter in _parameters(layer):
            self.states[parameter.name] = FIXED
        with self._timed("matching"):
            losses = self._match(index)
        record["steps"] = len(losses)
        if losses:
            record |= {"match_before": losses[0], "match_after": float(np.mean(losses[-plan.window :]))}
        if self.test is not None:
            with self._timed("tests"):
                record["test_acc"] = self.test(self.network)
        record["seconds"] = round(time.perf_counter() - start, 2)
        self.records.append(record)
        print(_line(index, len(self.layers), record), flush=True)

    def _solve(self, layer: nn.Cell, hessian: np.ndarray) -> dict[str, float]:
        """Put the layer on its levels; returns how well its output is kept."""
        plan, parameters = self.plan, _parameters(layer)
        arrays = [p.asnumpy() for p in parameters]
        weight = weight_matrix(arrays[0], arrays[1] if len(arrays) > 1 else None, conv_geometry(layer).groups)
        found = [
            admm.solve(rows, group, plan.kbits, plan.granularity == "channel", plan.rho, plan.polish)
            for rows, group in zip(weight, hessian)
        ]
        levels = split_matrix(np.stack([one.levels for one in found]), arrays[0].shape, len(arrays) > 1)
        scale = np.concatenate([_per_row(one) for one in found])
        for parameter, own in zip(parameters, levels):
            self.levelled[parameter.name].assign(own, scale, plan.kbits)
        signal = sum(admm.output_error(rows, 0 * rows, group) for rows, group in zip(weight, hessian))
        error = sum(one.error for one in found)
        ratio = error / signal if signal else 0.0
        return {"error": ratio, "sqnr_db": float(-10 * np.log10(max(ratio, 1e-12)))}

    def _match(self, index: int) -> list[float]:
        """The training after layer ``index``: the loss of each step."""
        plan, losses = self.plan, []
        self.step.restart()
        self.step.set_train(True)
        best, failures = np.inf, 0
        for step in range(plan.steps):
            images, logits = self.data.batch(index * plan.steps + step, plan.batch_size)
            losses.append(self.step.advance(images, logits, plan.lr, self.states))
            if (step + 1) % plan.window == 0:
                mean = float(np.mean(losses[-plan.window :]))
                failures = 0 if mean < (1 - plan.tolerance) * best else failures + 1
                best = min(best, mean)
                if failures >= plan.patience:
                    break
        self.step.set_train(False)
        return losses

    def _refine(self, fingerprint: dict[str, Any]) -> None:
        plan = self.plan
        if self.refined == plan.refine_steps:
            return
        self.states = dict.fromkeys(self.levelled, FREE)
        if self.refined == 0:
            self.step.restart()
        self.step.set_train(True)
        first, losses = len(self.layers) * plan.steps, []
        with self._timed("refinement"), Progress(plan.refine_steps - self.refined, "steps", label="refine") as progress:
            while self.refined < plan.refine_steps:
                rate = plan.refine_lr * 0.5 * (1 + np.cos(np.pi * self.refined / plan.refine_steps))
                images, logits = self.data.batch(first + self.refined, plan.batch_size)
                losses.append(self.step.advance(images, logits, rate, self.states))
                self.refined += 1
                progress.update(1, loss=float(np.mean(losses[-20:])))
                if self.refined % plan.save_every == 0:
                    self._save(fingerprint)
        self.step.set_train(False)

    @contextmanager
    def _timed(self, stage: str):
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] += time.perf_counter() - start

    def _fingerprint(self) -> dict[str, Any]:
        """What must be equal for a run to go on: plan, images and float network."""
        digest = hashlib.sha256()
        for name, value in sorted(network_state.state(self.network).items()):
            digest.update(name.encode() + value.tobytes())
        digest.update(self.data.view(np.arange(len(self.data)), 0).tobytes())
        data = {"images": len(self.data), "views": self.data.views, "seed": self.data.seed}
        return json.loads(json.dumps({"plan": asdict(self.plan), **data, "sha256": digest.hexdigest()}))

    def _own_state(self) -> dict[str, Any]:
        """Everything beside the network's own parameters, by the names of the file."""
        found = {}
        for name, levelled in self.levelled.items():
            found |= {f"latent/{name}": levelled.latent, f"scale/{name}": levelled.scale}
        return found | {f"speed/{index}": speed for index, speed in enumerate(self.step.speeds)}

    def _save(self, fingerprint: dict[str, Any]) -> None:
        tensors = {f"network/{name}": value for name, value in network_state.state(self.network).items()}
        tensors |= {name: parameter.asnumpy() for name, parameter in self._own_state().items()}
        about = {"run": fingerprint, "records": self.records, "refined": self.refined, "seconds": dict(self.seconds)}
        checkpoint.save(self.file, tensors, about)

    def _load(self, fingerprint: dict[str, Any]) -> None:
        found = checkpoint.load(self.file)
        if found.metadata.get("run") != fingerprint:
            raise CheckpointError(
                f"{self.file} belongs to another run (plan, images or float network differ): "
                "choose another --output_dir, or start anew with --no-continue"
            )
        prefix = "network/"
        network = {name[len(prefix) :]: value for name, value in found.tensors.items() if name.startswith(prefix)}
        network_state.restore(self.network, network, self.file)
        for name, parameter in self._own_state().items():
            parameter.set_data(Tensor(found.tensors[name]))
        self.records, self.refined = found.metadata["records"], found.metadata["refined"]
        self.seconds.update(found.metadata["seconds"])
        names = list(self.layers)[: len(self.records)]
        self.states |= {p.name: FIXED for name in names for p in _parameters(self.layers[name])}


def _parameters(layer: nn.Cell) -> list:
    """Weight and, where there is one, bias."""
    return [layer.weight, layer.bias] if layer.has_bias else [layer.weight]


def _per_row(found: Quantized) -> np.ndarray:
    return np.broadcast_to(found.scale[:, 0], (len(found.levels),))


def _line(index: int, count: int, record: dict[str, Any]) -> str:
    matched = f"match {record['match_before']:.3f} -> {record['match_after']:.3f} in " if record["steps"] else ""
    test = f", test {100 * record['test_acc']:.2f} %" if "test_acc" in record else ""
    return (
        f"[{index + 1}/{count}] {record['layer']}: output error {100 * record['error']:.2f} % "
        f"({record['sqnr_db']:.1f} dB), {matched}"
        f"{record['steps']} steps{test}, {record['seconds']:.1f} s"
    )
