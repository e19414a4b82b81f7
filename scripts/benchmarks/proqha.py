"""ProQHA's scores: 500 candidates by one backward pass, against a training step and against a step per candidate.

The network is the pre-activation ResNet-20 at 8 bits. The steps per candidate are timed for 10 candidates and given
for 500, which is 50 times as long.
"""

import argparse

import numpy as np

from benchmarks.harness import Candidate, take_turns

STEP = "training step"
FISHER = "fisher, 500 candidates"
ADAM = "adam, 500 candidates (10 timed)"
COUNT, TIMED = 500, 10


def step(name: str, batch_size: int):
    """One training step, or the scoring of candidates, in GRAPH mode."""
    from common.runtime import context

    context.setup("CPU", "graph")
    from mindspore import Tensor

    from common.models.registry import model
    from common.training import TrainConfig
    from common.training.schedules import Schedule
    from common.training.step import TrainStep, make_optimizer
    from ProQHA import candidates
    from ProQHA.convert import quantize_network
    from ProQHA.cost_model import cost_model
    from ProQHA.fisher import FisherScorer
    from ProQHA.quant import get_bits
    from ProQHA.scores import AdamScorer

    rng = np.random.default_rng(0)
    images = rng.normal(size=(batch_size, 3, 32, 32)).astype(np.float32)
    labels = rng.integers(0, 10, batch_size).astype(np.int32)
    network = model("preact_resnet20").build(10)
    quant_config = quantize_network(network)
    if name == STEP:
        train_config = TrainConfig(1, batch_size, Schedule("constant", 1e-3), "adam", grad_clip_norm=5.0)
        train = TrainStep(network, make_optimizer(network.trainable_params(), train_config, 10_000), train_config)
        train.set_train()
        inputs = Tensor(images), Tensor(labels)
        return lambda: train(*inputs)[0].asnumpy()
    sizes, targets, moves = cost_model(network, 32), candidates.Targets(), candidates.Moves()
    if name == FISHER:
        scorer, count = FisherScorer(model("preact_resnet20").build(10), quant_config, images, labels), COUNT
    else:
        scorer, count = AdamScorer(network, images, labels, 1e-3, 5.0), TIMED
    bits = get_bits(network)

    def choose():
        lowering = scorer.plan(network, moves.lowered(bits, targets.floors))
        drawn = candidates.draw(np.random.default_rng(1), count, sizes, bits, targets, moves)
        scores = scorer(network, lowering, drawn)
        return candidates.least(scores, candidates.saving(sizes, targets, bits, drawn))

    return choose


def run(args: argparse.Namespace) -> list[dict]:
    """Rows: what, milliseconds, and how many training steps that is."""
    size = args.batch_size or 128
    made = {name: Candidate(name, step, {"name": name, "batch_size": size}) for name in (STEP, FISHER, ADAM)}
    take_turns(list(made.values()), args.rounds)
    scale = {ADAM: COUNT / TIMED}
    milliseconds = {name: 1000 * duration.median * scale.get(name, 1) for name, duration in made.items()}
    return [
        {"what": name, "ms": round(duration, 1), "training steps": round(duration / milliseconds[STEP], 2)}
        for name, duration in milliseconds.items()
    ]
