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

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mindspore import Parameter, nn

from common.errors import QuantizationError
from common.quant.even_filters import norms_behind
from common.quant.integer_weight import IntegerLayer, IntegerWeight
from common.report.progress import Progress
from common.runtime.hooks import batch_norms
from LDNQ.calibration_set import CalibrationSet
from LDNQ.cascade_state import CascadeState, run_fingerprint
from LDNQ.latent import LevelledParameter
from LDNQ.layer_turns import LayerTurns, parameters_of
from LDNQ.matching import FIXED, FLOAT, MatchStep
from LDNQ.network import quantized_layers
from LDNQ.observation import input_hessians
from LDNQ.paired import Pair, in_one_pass
from LDNQ.plan import Plan
from LDNQ.quant_config import QuantConfig
from LDNQ.refinement import MARGIN, Features, RefineStep
from LDNQ.statistics import FinalStatistics


class Cascade:
    """Brings the weights of a float network to their levels, in place.

    Args:
        network: float network; it is changed.
        data: calibration images.
        config: levels that the weights are brought to.
        plan: settings of the cascade.
        folder: folder of the run; made if absent.
        test: function from the network to its accuracy, shown after each layer; None for none.
        order: names of the layers in the order of the cascade; None: that of the network's description.
        teacher: the float network once more, which stays as it is: for the plan's ``feature_weight``.

    Attributes:
        state: progress of the cascade.

    Raises:
        ConfigError: a weight of features without a network that tells them.
    """

    def __init__(
        self,
        network: nn.Cell,
        data: CalibrationSet,
        config: QuantConfig,
        plan: Plan,
        folder: Path,
        test: Callable[[nn.Cell], float] | None = None,
        order: Sequence[str] | None = None,
        teacher: nn.Cell | None = None,
    ):
        self.network, self.data, self.config, self.plan, self.test = network, data, config, plan, test
        self.file = Path(folder) / "cascade.ckpt"
        self.layers = _in_order(quantized_layers(network, config), order)
        levelled = {p.name: LevelledParameter.of(p) for layer in self.layers.values() for p in parameters_of(layer)}
        self.phases = dict.fromkeys(levelled, FLOAT)
        self.step = MatchStep(network, levelled, config.levels)
        adam = plan.refine_by == "adam"
        self.turns = LayerTurns(levelled, config, plan, MARGIN if adam else 0.0)
        features = Features(teacher, plan.feature_weight) if plan.feature_weight else None
        self.refine_step = RefineStep(network, levelled, config.levels, features) if adam else self.step
        self.state = CascadeState(network, levelled, self.refine_step.moments)
        self.fingerprint: dict[str, Any] = {}
        self.hessians: dict[str, np.ndarray] = {}  # of the float network, of layers whose turn has not come

    def run(self, go_on: bool = True) -> dict[str, IntegerLayer]:
        """Quantize to the end and return the integers of each layer.

        Args:
            go_on: from what the folder holds; otherwise start anew.

        Raises:
            CheckpointError: the folder holds another run, or a damaged one.
            QuantizationError: the weights are not finite, or matching diverges.
        """
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.fingerprint = run_fingerprint(self.network, self.data, self.config, self.plan)
        with self.state.timed("float network"):
            self.data.compute_teacher_logits(self.network)
            statistics = FinalStatistics(self.network, self.data, self.plan)
        if go_on and self.file.exists():
            self._load()
        if self.plan.hessians == "paired" and not self.state.records:
            self._pair()
            self._save()
        for index in range(len(self.state.records), len(self.layers)):
            self._layer(index)
            if self.plan.hessians == "prefix" or index + 1 == len(self.layers):
                self._save()  # Hessians of the float network cannot be had any more after a kill
        with self.state.timed("BatchNorm statistics"):
            statistics.begin_refinement(self.state.refined)
        self._refine()
        with self.state.timed("BatchNorm statistics"):
            statistics.end_refinement()
        self.network.set_train(False)
        return self.integers()

    def integers(self) -> dict[str, IntegerLayer]:
        """The integers of each layer, which are quantized all.

        Raises:
            QuantizationError: a layer computes with other values than its integers say.
        """
        layers = {}
        for name, layer in self.layers.items():
            weight, *bias = (self._integers_of(parameter) for parameter in parameters_of(layer))
            layers[name] = IntegerLayer((weight,), bias=bias[0] if bias else None)
        return layers

    def _integers_of(self, parameter: Parameter) -> IntegerWeight:
        weight = self.state.levelled[parameter.name].to_int(self.config.levels)
        if not np.array_equal(weight.dequantize(), parameter.asnumpy()):
            raise QuantizationError(
                f"{parameter.name}: expected values on the levels of {self.file}, found others; "
                "start anew with --no-continue"
            )
        return weight

    def _layer(self, index: int) -> None:
        state, start = self.state, time.perf_counter()
        name, layer = list(self.layers.items())[index]
        with state.timed("Hessians"):
            hessian = self._hessian(name)
        with state.timed("layer problems"):
            record = {"layer": name, "weights": int(layer.weight.size), **self.turns.solve(layer, hessian)}
        self._fix(layer)
        with state.timed("matching"):
            losses = self._match(index)
        record["steps"] = len(losses)
        if losses:
            record |= {"match_before": losses[0], "match_after": float(np.mean(losses[-self.plan.window :]))}
        if self.test is not None:
            with state.timed("tests"):
                record["test_acc"] = self.test(self.network)
        record["seconds"] = round(time.perf_counter() - start, 2)
        state.records.append(record)
        print(_line(index, len(self.layers), record), flush=True)

    def _pair(self) -> None:
        """Put all layers on their levels in one pass, see :mod:`LDNQ.paired`."""
        size = self.data.preprocessing.image_size
        norms = batch_norms(self.network)
        normed = {name: norms[norm] for name, norm in norms_behind(self.network, size).items() if name in self.layers}
        count = min(self.plan.moment_images or len(self.data), len(self.data))
        images = self.data.images.eval_batch(np.arange(count), self.data.preprocessing)

        def turn(name: str, pair: Pair) -> None:
            layer, start = self.layers[name], time.perf_counter()
            record = {"layer": name, "weights": int(layer.weight.size)}
            record |= self.turns.solve_pair(layer, normed.get(name), pair)
            record |= {"steps": 0, "seconds": round(time.perf_counter() - start, 2)}
            print(_line(len(self.state.records), len(self.layers), record), flush=True)
            self.state.records.append(record)
            self._fix(layer)

        with self.state.timed("layer problems"):
            in_one_pass(self.network, self.layers, normed, images, turn)

    def _hessian(self, name: str) -> np.ndarray:
        """The second moment of a layer's inputs."""
        images = self.data.passes(self.plan.hessian_views, count=self.plan.moment_images)
        if self.plan.hessians == "prefix":
            return input_hessians(self.network, {name: self.layers[name]}, images)[name]
        if not self.hessians:
            self.hessians = input_hessians(self.network, self.layers, images)
        return self.hessians.pop(name)

    def _fix(self, layer: nn.Cell) -> None:
        self.phases |= {parameter.name: FIXED for parameter in parameters_of(layer)}

    def _match(self, index: int) -> list[float]:
        """The training after layer ``index``: the loss of each step."""
        plan, losses = self.plan, []
        self.step.restart()
        self.step.set_train(True)
        best, failures = np.inf, 0
        for step in range(plan.steps):
            images, logits = self.data.batch(index * plan.steps + step, plan.batch_size)
            losses.append(self.step.advance(images, logits, plan.lr, self.phases))
            if (step + 1) % plan.window == 0:
                mean = float(np.mean(losses[-plan.window :]))
                failures = 0 if mean < (1 - plan.tolerance) * best else failures + 1
                best = min(best, mean)
                if failures >= plan.patience:
                    break
        self.step.set_train(False)
        return losses

    def _refine(self) -> None:
        plan, state = self.plan, self.state
        if state.refined == plan.refine_steps:
            return
        step = self.refine_step
        if state.refined == 0:
            step.restart()
        step.fixed_statistics = plan.statistics != "anew"
        step.set_train(True)
        first, losses = len(self.layers) * plan.steps, []
        left = plan.refine_steps - state.refined
        with state.timed("refinement"), Progress(left, "steps", label="refine") as progress:
            while state.refined < plan.refine_steps:
                rate = plan.refine_lr * 0.5 * (1 + np.cos(np.pi * state.refined / plan.refine_steps))
                images, logits = self.data.batch(first + state.refined, plan.batch_size)
                losses.append(step.refine(images, logits, rate, state.refined))
                state.refined += 1
                progress.update(1, loss=float(np.mean(losses[-20:])))
                if state.refined % plan.save_every == 0:
                    self._save()
        step.set_train(False)

    def _save(self) -> None:
        self.state.save(self.file, self.fingerprint)

    def _load(self) -> None:
        self.state.load(self.file, self.fingerprint)
        for name in list(self.layers)[: len(self.state.records)]:
            self._fix(self.layers[name])


def _in_order(layers: Mapping[str, nn.Cell], order: Sequence[str] | None) -> dict[str, nn.Cell]:
    return {name: layers[name] for name in (order or layers) if name in layers}


def _line(index: int, count: int, record: dict[str, Any]) -> str:
    matched = f"match {record['match_before']:.3f} -> {record['match_after']:.3f} in " if record["steps"] else ""
    test = f", test {100 * record['test_acc']:.2f} %" if "test_acc" in record else ""
    return (
        f"[{index + 1}/{count}] {record['layer']}: output error {100 * record['error']:.2f} % "
        f"({record['sqnr_db']:.1f} dB), {matched}"
        f"{record['steps']} steps{test}, {record['seconds']:.1f} s"
    )
