"""Single images: the runtime at 4 bits beside OpenVINO and onnxruntime at 8 bits, on one thread and on two, in one run.

Networks have random weights and calibrated grids. The runtime runs its file, by ctypes, as a program that embeds it
would.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from benchmarks import isa, latency_steps, peers, selection
from benchmarks.engine import INT8, ONNXRUNTIME_INT8, OPENVINO_INT8
from benchmarks.harness import Candidate, take_turns
from benchmarks.side_by_side import Kind, candidate_of, caption

OURS = "lowbitzoo.runtime W4A4"
CANDIDATES = {OURS: Kind(latency_steps.file_step, (), {"method": "ProQHA", "bits": 4})} | {
    name: replace(INT8[name], setup=latency_steps.int8_step) for name in (OPENVINO_INT8, ONNXRUNTIME_INT8)
}
# Networks, sides of their images, and images of a turn: some 20 ms.
WORKS = {"ResNet-20": ("resnet20", 32, 80), "MobileNetV2": ("mobilenet_v2", 224, 8), "ResNet-18": ("resnet18", 224, 3)}
THREADS = (1, 2)


def run(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Rows of all networks, threads and candidates."""
    installed = peers.versions(args.peers)
    print(caption(installed, args), file=sys.stderr)
    rows = []
    for work in selection.works(WORKS, args.work):
        for threads in THREADS:
            candidates = list(_candidates(work, threads, args, installed))
            take_turns(candidates, args.rounds)
            rows += [_row(work, candidate) for candidate in candidates if candidate.seconds]
    return rows


def _candidates(work: str, threads: int, args: argparse.Namespace, installed: Mapping[str, str]) -> Iterator[Candidate]:
    network, side, repeats = WORKS[work]
    for name, kind in CANDIDATES.items():
        arguments = {"network": network, "side": side, "threads": threads, "repeats": repeats}
        if (candidate := candidate_of(name, kind, arguments, args, installed)) is not None:
            yield candidate


def _row(work: str, candidate: Candidate) -> dict[str, Any]:
    repeats = candidate.arguments["repeats"]
    return {
        "work": work,
        "candidate": candidate.name,
        "batch": 1,
        "threads": candidate.arguments["threads"],
        "isa": isa.NATIVE,
        "ms": round(1000 * candidate.median / repeats, 4),
        "least_ms": round(1000 * min(candidate.seconds) / repeats, 4),
        "rounds": len(candidate.seconds),
        "peak_mib": round(candidate.peak_mib),
    }
