"""A small training and an evaluation of odd size in any number of processes, for test_distributed.py."""

import json
import sys
from pathlib import Path

import numpy as np
import training_run as run
from mindspore import Tensor, nn, ops

from common import distributed
from common.distributed.collective import SyncBatchNorm2d
from common.evaluation import evaluate_images
from common.files.atomic_file import write_text
from common.runtime import context


class Normalized(nn.Cell):
    """Loss of a BatchNorm whose gradients are compared."""

    def __init__(self):
        super().__init__()
        self.norm = SyncBatchNorm2d(3) if distributed.size() > 1 else nn.BatchNorm2d(3)

    def construct(self, x, weight):
        return (self.norm(x) * weight).sum()


def normalized(mode: str) -> dict:
    """Output, gradients and moving statistics of BatchNorm over 8 images, of which each process has its part."""
    rng = np.random.default_rng(0)
    x, weight = (rng.normal(2, 3, (8, 3, 5, 5)).astype(np.float32) for _ in range(2))
    part = 8 // distributed.size()
    part_of_batch = slice(distributed.rank() * part, (distributed.rank() + 1) * part)
    with context.execution_mode(mode):
        cell = Normalized()
        cell.set_train(True)
        gradient = ops.grad(cell, (0,), None)(Tensor(x[part_of_batch]), Tensor(weight[part_of_batch])).asnumpy()
        gradient = np.concatenate(distributed.gathered(gradient))
        moving = [cell.norm.moving_mean.asnumpy().tolist(), cell.norm.moving_variance.asnumpy().tolist()]
    return {"gradient": gradient.tolist(), "moving": moving}


def main(folder: Path, point: str) -> None:
    """Train, or die in the second epoch as the last process, and write what was found."""
    context.setup()
    source = None
    if point == "dies" and distributed.rank() == distributed.size() - 1:
        source = run.deadly_images(epoch=1, step=2)
        parts = np.array_split(source.fatal, distributed.size())
        object.__setattr__(source, "fatal", parts[-1])
    trainer = run.trainer(folder, source=source)
    history = trainer.run()
    sizes = {}
    for count in (1, 12, 13):
        metrics = evaluate_images(trainer.network, run.images(count, seed=1), run.PREPROCESSING, 5)
        sizes[count] = [metrics.correct, metrics.correct_top5, metrics.samples, metrics.loss_sum]
    exact = distributed.total([2.0**-30 + 1, np.pi, -1e-20, 50_000]).tolist()
    modes = {mode: normalized(mode) for mode in ("graph", "pynative")}
    kept = sorted(run.images(20).hold_out(8, 3)[1].labels.tolist())
    record = {
        "history": history,
        "kept": kept,
        "sizes": sizes,
        "exact": exact,
        "norm": modes,
        "processes": distributed.size(),
    }
    write_text(folder / "found.json", json.dumps(record))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
