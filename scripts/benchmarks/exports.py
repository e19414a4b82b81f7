"""Exported ONNX files in onnxruntime and OpenVINO beside the float network and the one that the stock tool quantizes.

ResNet-20s with random weights and calibrated grids; batches take the threads that are asked for, single images one. A
candidate's time is compared with the float network's in the same runtime and run.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks import exports_files, exports_steps, isa, peers, selection
from benchmarks.harness import Candidate, take_turns
from benchmarks.side_by_side import COMPILING, Kind, candidate_of, caption

BATCH, REPEATS = 128, 20  # passes of single images in a turn: some 20 ms
RUNTIMES = {"onnxruntime": "onnxruntime", "OpenVINO": "openvino"}
CANDIDATES = (exports_files.FLOAT, exports_files.STOCK, *exports_files.FILES)


def run(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Rows of both runtimes, a batch and a single image, and all candidates."""
    installed = peers.versions(args.peers)
    print(caption(installed, args), file=sys.stderr)
    for name, reason in exports_files.WITHOUT.items():
        print(f"{name}: no file in the fast form: {reason}", file=sys.stderr)
    runtimes = selection.works(RUNTIMES, args.work)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        files = dict(written(Path(folder), selection.candidates(CANDIDATES, args.candidates)))
        for runtime in runtimes:
            for batch_size, threads in sizes(args):
                candidates = list(_candidates(runtime, files, batch_size, threads, args, installed))
                take_turns(candidates, args.rounds)
                rows += [_row(runtime, candidate) for candidate in candidates if candidate.seconds]
    return rows


def written(folder: Path, candidates: Iterable[str]) -> Iterator[tuple[str, Path]]:
    """The candidates' files in a folder, by name."""
    for number, name in enumerate(candidates):
        file = folder / f"{number}.onnx"
        file.write_bytes(exports_files.content(name))
        yield name, file


def sizes(args: argparse.Namespace) -> Iterator[tuple[int, int]]:
    """Images and threads of each run."""
    if args.batch_size is None or args.batch_size > 1:
        yield args.batch_size or BATCH, args.threads
    yield 1, 1


def _candidates(
    runtime: str,
    files: Mapping[str, Path],
    batch_size: int,
    threads: int,
    args: argparse.Namespace,
    installed: Mapping[str, str],
) -> Iterator[Candidate]:
    kind = Kind(exports_steps.step, (RUNTIMES[runtime],), {"runtime": RUNTIMES[runtime]}, COMPILING)
    for name, file in files.items():
        arguments = {"file": str(file), "batch_size": batch_size, "side": exports_files.SIDE, "threads": threads}
        arguments["repeats"] = REPEATS if batch_size == 1 else 1
        if (candidate := candidate_of(name, kind, arguments, args, installed)) is not None:
            yield candidate


def _row(runtime: str, candidate: Candidate) -> dict[str, Any]:
    arguments = candidate.arguments
    seconds = candidate.median / arguments["repeats"]
    return {
        "work": f"ResNet-20, {runtime}",
        "candidate": candidate.name,
        "batch": arguments["batch_size"],
        "threads": arguments["threads"],
        "isa": isa.NATIVE,
        "ms": round(1000 * seconds, 3),
        "images_per_s": round(arguments["batch_size"] / seconds, 1),
        "kb": round(Path(arguments["file"]).stat().st_size / 1000),
        "peak_mib": round(candidate.peak_mib),
    }
