"""The search: lower some bits, train, and again, until the cost is met or the steps are done.

The state lives in ``search.ckpt``, written after every step: it is a latent checkpoint that further training can start
from, and its metadata hold the log. Draws depend on seed and step alone, so a search that was stopped at any point
repeats its unfinished step and ends in the same bits.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mindspore import nn

from common import checkpoint
from common.checkpoint import network_state
from common.errors import ConfigError
from common.evaluation import Metrics
from common.files.atomic_file import remove_folders
from common.training import OtherRunError
from ProQHA import candidates, history
from ProQHA.candidates import Moves, Targets
from ProQHA.cost_model import CostModel
from ProQHA.quant import get_bits
from ProQHA.returning import return_bits
from ProQHA.scores import Lowering, Scorer

Record = dict[str, Any]
STEP_FOLDER = "step_"  # begins the name of the folder in which the network trains after a step


@dataclass(frozen=True)
class Plan:
    """Steps, candidates and targets of a search.

    Attributes:
        steps: number of steps, at most.
        count: number of candidates drawn in a step; 0 takes the exact minimiser of a score that adds up.
        targets: costs at which the search ends.
        moves: size of a step.
        seed: seed of the draws.
        returning: whether the last step gives back what the targets leave room for.
    """

    steps: int
    count: int
    targets: Targets
    moves: Moves
    seed: int
    returning: bool = False


class Progressive:
    """Runs a plan in a folder.

    Args:
        network: quantized network to begin with.
        sizes: cost model of its layers.
        plan: steps, candidates and targets.
        scorer: score of the candidates.
        train: function that trains the network after a step (its number) and returns figures for the log (``acc``).
        test: function from the network to its metrics on test images, which it sees when the search is at its end.
        folder: folder of the search.
        metadata: metadata of the network's checkpoints; they and the plan must be equal for a search to be continued.

    Raises:
        ConfigError: no candidates, or bits that go back, with a score that does not add up.
    """

    def __init__(
        self,
        *,
        network: nn.Cell,
        sizes: CostModel,
        plan: Plan,
        scorer: Scorer,
        train: Callable[[int], Record],
        test: Callable[[nn.Cell], Metrics],
        folder: Path,
        metadata: Record,
    ):
        if not plan.count and not scorer.additive:
            raise ConfigError(
                "lam: 0, the exact minimiser, needs a score that adds up; take --score fisher or --lam 500"
            )
        if plan.returning and not scorer.additive:
            raise ConfigError("return_bits: needs a score that adds up; take --score fisher")
        self.network, self.sizes, self.plan, self.scorer = network, sizes, plan, scorer
        self.train, self.test, self.folder = train, test, Path(folder)
        self.metadata = json.loads(json.dumps(metadata))  # as a file gives it back
        self.records: list[Record] = []

    @property
    def state(self) -> Path:
        """The file from which a search goes on."""
        return self.folder / "search.ckpt"

    def _discard(self) -> None:
        self.state.unlink(missing_ok=True)
        remove_folders(self.folder.glob(f"{STEP_FOLDER}*"))

    def run(self, go_on: bool = True) -> list[Record]:
        """Search to the end and return the log, step 0 being the network that the search began with.

        Args:
            go_on: continue what the folder holds; otherwise remove it and start anew.

        Raises:
            OtherRunError: the folder holds another search.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        if not go_on:
            self._discard()
        elif self.state.exists():
            self._load()
        if not self.records:
            self._finish_step(None, self.train(0))
        while self._able().any() and len(self.records) <= self.plan.steps:
            step = len(self.records)
            score = self.lower(step)
            self._finish_step(score, self.train(step))
        if "test_acc" not in self.records[-1]:
            self.records[-1]["test_acc"] = self.test(self.network).accuracy
            self._save()
        return self.records

    def lower(self, step: int) -> float:
        """Choose the candidate of a step, give the network its bits, and return its score."""
        lowered = self.plan.moves.lowered(get_bits(self.network), self.plan.targets.floors)
        lowering = self.scorer.plan(self.network, lowered)
        score, chosen = self._drawn(lowering, step) if self.plan.count else self._exact(lowering)
        lowering.apply(self.network, chosen)
        if self.plan.returning and not self._able().any():
            return_bits(self.network, self.scorer, self.sizes, self.plan.targets)
        return score

    def _drawn(self, lowering: Lowering, step: int) -> tuple[float, np.ndarray]:
        """Score and bits (L, 2) of the best of the candidates that are drawn in a step."""
        bits, plan = get_bits(self.network), self.plan
        rng = np.random.default_rng((plan.seed, step))
        drawn = candidates.draw(rng, plan.count, self.sizes, bits, plan.targets, plan.moves)
        scores = self.scorer(self.network, lowering, drawn)
        savings = candidates.saving(self.sizes, plan.targets, bits, drawn)
        best = candidates.least(scores, savings) if self.scorer.additive else int(np.argmin(scores))
        return float(scores[best]), drawn[best]

    def _exact(self, lowering: Lowering) -> tuple[float, np.ndarray]:
        """Score and bits (L, 2) of the best candidate of all."""
        bits, plan = get_bits(self.network), self.plan
        table = self.scorer.table(self.network, lowering)
        chosen = candidates.exact(table, self.sizes, bits, plan.targets, plan.moves)
        return float(table[chosen < bits].sum()), chosen

    def _able(self) -> np.ndarray:
        return self.plan.targets.lowerable(self.sizes, get_bits(self.network))

    def _finish_step(self, score: float | None, trained: Record) -> None:
        bits = get_bits(self.network)
        record = {"step": len(self.records), "score": score, **self.sizes.summary(bits), "bits": bits.tolist()}
        self.records.append({**record, **trained})
        self._save()

    def _save(self) -> None:
        search = {"plan": self._plan(), "records": self.records}
        checkpoint.save(self.state, network_state.state(self.network), {**self.metadata, "search": search})
        self.report()

    def report(self) -> None:
        """Write the log and the pictures."""
        history.write(self.folder, self.sizes.names, self.records)

    def _plan(self) -> Record:
        """The plan as files record it; a search that has come to its end may be given more steps."""
        plan = {name: value for name, value in asdict(self.plan).items() if name != "steps"}
        if self.plan.targets.weight_floor is None:  # as searches recorded it that knew no such floor
            del plan["targets"]["weight_floor"]
        if not self.plan.returning:
            del plan["returning"]
        return plan

    def _load(self) -> None:
        saved = checkpoint.load(self.state)
        search = saved.metadata.get("search", {})
        same = search.get("plan") == self._plan()
        if not same or {**saved.metadata, "search": None} != {**self.metadata, "search": None}:
            raise OtherRunError(f"{self.state} belongs to another search: network, options or data differ")
        network_state.restore(self.network, saved.tensors, str(self.state))
        self.records = search["records"]
        self.report()
