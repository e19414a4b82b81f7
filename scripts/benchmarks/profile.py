"""The training step of ResNet-20 by operator: each one's time alone, its share of the step and of the processor's peak.

The peak is that of multiply-adds, measured beside (see :mod:`benchmarks.processor`). An operator alone has its inputs
in the cache more often than in the step, and the step has what stands between operators: their sum is not the step.
"""

import argparse
import statistics
import sys
import time
from typing import Any

from benchmarks import our_steps, processor
from benchmarks.harness import Candidate, take_turns
from benchmarks.side_by_side import RESNET20_MACS

_REPEATS = 5  # calls of an operator per round


def run(args: argparse.Namespace) -> list[dict]:
    """Rows of all operators by their time per step, of their sum, and of the whole step."""
    batch_size, peak = args.batch_size or 128, processor.multiply_adds(args.threads)
    print(f"multiply-adds at peak, {args.threads} threads: {(peak or 0) / 1e9:.1f} G/s", file=sys.stderr)
    rows = sorted(_operators(batch_size, args), key=lambda row: -row["ms_per_step"])
    total = round(sum(row["ms_per_step"] for row in rows), 3)
    arguments = {"network": "resnet20", "training": True, "batch_size": batch_size, "side": 32, "threads": args.threads}
    step = Candidate("step", our_steps.step, arguments)
    take_turns([step], args.rounds)
    rows.append({"operator": "sum of the operators", "calls": None, "ms": None, "ms_per_step": total, "macs": 0})
    rows.append(_row("whole step, measured", 1, step.median, 3 * RESNET20_MACS * batch_size))
    return [_rated(row, peak) for row in rows]


def _operators(batch_size: int, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Median times of the operators, each made and called in this process."""
    from common.runtime import context

    context.setup("CPU", "pynative", threads=args.threads)
    from benchmarks.resnet20_operators import operators

    rows = []
    for operator in operators(batch_size):
        with context.execution_mode("graph" if operator.graph else "pynative"):
            seconds = median_seconds(operator.run, _REPEATS * args.rounds)
        rows.append(_row(operator.name, operator.calls, seconds, operator.macs))
    return rows


def median_seconds(run, count: int) -> float:
    """Median seconds of a call, after two that are not counted."""
    seconds = []
    for _ in range(count + 2):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[2:])


def _row(name: str, calls: int, seconds: float, macs: int) -> dict[str, Any]:
    ms = 1000 * seconds
    return {"operator": name, "calls": calls, "ms": round(ms, 3), "ms_per_step": round(calls * ms, 3), "macs": macs}


def _rated(row: dict[str, Any], peak: float | None) -> dict[str, Any]:
    """The row with multiply-adds per second in place of their number."""
    macs = row.pop("macs")
    rate = 1000 * macs / row["ms"] if macs and row["ms"] else None
    return row | {
        "gmac_per_s": round(rate / 1e9, 2) if rate else None,
        "share_of_peak": round(rate / peak, 3) if rate and peak else None,
    }
