"""The integer engine side by side with PyTorch, onnxruntime and OpenVINO, these also at 8 bits; one run, same threads.

Networks have random weights and calibrated grids. Batches of many images take the threads that are asked for, single
images take one. The engine is called by ctypes, as a program that embeds it would.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks import engine_steps, isa, our_steps, peer_steps, peers, processor, selection
from benchmarks.harness import Candidate, take_turns
from benchmarks.side_by_side import (
    COMPILING,
    KINDS,
    MOBILENET_MACS,
    PYTORCH,
    RESNET18_MACS,
    RESNET20_MACS,
    Kind,
    candidate_of,
    caption,
)
from common import report

ADDER = "AdderQuant 8 bits"  # there is no adder ResNet-18
ON_MOBILENET = ("ProQHA W4A4", "ProQHA W8A8", "LDNQ 11 levels A8")
OPENVINO_INT8, ONNXRUNTIME_INT8 = "OpenVINO int8", "onnxruntime int8"


def _ours(method: str, **settings: Any) -> Kind:
    return Kind(engine_steps.step, (), {"method": method, **settings})


ENGINE = {
    "ProQHA W4A4": _ours("ProQHA", bits=4),
    "ProQHA W8A8": _ours("ProQHA", bits=8),
    "DAMBQ v2 W2A2": _ours("DAMBQ", bits=2, table="v2"),
    "DAMBQ v2 W4A4": _ours("DAMBQ", bits=4, table="v2"),
    "DAMBQ int8 W2A2": _ours("DAMBQ", bits=2, table="int8"),
    "DAMBQ int8 W4A4": _ours("DAMBQ", bits=4, table="int8"),
    "DynamicQuant static 4": _ours("DynamicQuant", bits=4, static=True),
    "DynamicQuant dynamic 3/4/5": _ours("DynamicQuant", bits=4, static=False),
    "LDNQ ternary A8": _ours("LDNQ", levels=3, act_bits=8),
    "LDNQ 11 levels A8": _ours("LDNQ", levels=11, act_bits=8),
    "LDNQ ternary A16": _ours("LDNQ", levels=3, act_bits=16),
    ADDER: _ours("AdderQuant", bits=8),
}
FLOATS = {
    "ours float": Kind(our_steps.step),
    PYTORCH[0]: KINDS[PYTORCH[0]],
    PYTORCH[2]: KINDS[PYTORCH[2]],
    "onnxruntime float": KINDS["onnxruntime float"],
    "OpenVINO float": KINDS["OpenVINO float"],
}
INT8 = {
    ONNXRUNTIME_INT8: Kind(peer_steps.int8_step, ("onnxruntime", "torch", "onnx"), {"runtime": "onnxruntime"}),
    OPENVINO_INT8: Kind(
        peer_steps.int8_step, ("openvino", "onnxruntime", "torch", "onnx"), {"runtime": "openvino"}, COMPILING
    ),
}
CANDIDATES = ENGINE | FLOATS | INT8


@dataclass(frozen=True)
class Work:
    """A network and how it is run.

    Attributes:
        name: in the table.
        network: in the zoo.
        side: height and width of an image.
        batch_size: of the batch that takes all threads.
        macs: multiply-adds of an image.
        left_out: candidates that do not have such a network.
    """

    name: str
    network: str
    side: int
    batch_size: int
    macs: int
    left_out: frozenset[str] = frozenset()


WORKS = (
    Work("ResNet-20", "resnet20", 32, 128, RESNET20_MACS),
    Work("ResNet-18", "resnet18", 224, 16, RESNET18_MACS, frozenset({ADDER})),
    Work("MobileNetV2", "mobilenet_v2", 224, 16, MOBILENET_MACS, ENGINE.keys() - set(ON_MOBILENET)),
)


def run(args: argparse.Namespace) -> list[dict]:
    """Rows of all works and candidates; the layers of the first candidate are printed and belong to its row."""
    installed = peers.versions(args.peers)
    print(caption(installed, args), file=sys.stderr)
    rows = []
    for work, batch_size, threads in runs(args):
        candidates = list(_candidates(work, batch_size, threads, args, installed))
        take_turns(candidates, args.rounds)
        rows += [_row(work, candidate, args.isa) for candidate in candidates if candidate.seconds]
        if threads == 1 and candidates and candidates[0].name == next(iter(ENGINE)):
            rows[-len(candidates)]["layers"] = _layers(work, args.isa)
    return rows


def runs(args: argparse.Namespace) -> Iterator[tuple[Work, int, int]]:
    """Work, images and threads of each run.

    Raises:
        ConfigError: no work of the name that is asked for.
    """
    names = selection.works([work.name for work in WORKS], args.work)
    for work in (work for work in WORKS if work.name in names):
        if args.batch_size is None or args.batch_size > 1:
            yield work, args.batch_size or work.batch_size, args.threads
        yield work, 1, 1


def _candidates(
    work: Work, batch_size: int, threads: int, args: argparse.Namespace, installed: Mapping[str, str]
) -> Iterator[Candidate]:
    for name in selection.candidates(CANDIDATES, args.candidates):
        kind = CANDIDATES[name]
        if name in work.left_out:
            continue
        network = "adder_resnet20" if name == ADDER else work.network
        arguments: dict[str, Any] = {"network": network, "batch_size": batch_size, "side": work.side}
        arguments |= {"threads": threads}
        if kind.setup is engine_steps.step:
            arguments["instruction_set"] = instruction_set(args.isa)
        else:
            arguments["training"] = False
        if (candidate := candidate_of(name, kind, arguments, args, installed)) is not None:
            yield candidate


def instruction_set(limit: str) -> str:
    """The engine's instruction set under a limit of all candidates."""
    return "avx2" if limit == isa.AVX2 else ""


def _row(work: Work, candidate: Candidate, limit: str) -> dict[str, Any]:
    """``mac_per_cycle`` is the float network's multiply-adds by seconds, frequency and threads."""
    batch_size, threads = candidate.arguments["batch_size"], candidate.arguments["threads"]
    hertz, package = processor.frequency(), next(iter(CANDIDATES[candidate.name].packages), "")
    return {
        "work": work.name,
        "candidate": candidate.name,
        "batch": batch_size,
        "threads": threads,
        "isa": isa.of(limit, package),
        "ms": round(1000 * candidate.median, 3),
        "images_per_s": round(batch_size / candidate.median, 1),
        "mac_per_cycle": round(work.macs * batch_size / (candidate.median * hertz * threads), 2) if hertz else None,
        "peak_mib": round(candidate.peak_mib),
    }


def _layers(work: Work, limit: str) -> list[dict]:
    """Multiply-adds a cycle of each layer of the first candidate, and their share of the tile's measured peak.

    Winograd convolutions count as their direct form: more than the peak is what they save.
    """
    name, kind = next(iter(ENGINE.items()))
    hertz, chosen = processor.frequency(), instruction_set(limit)
    if hertz is None:
        return []
    runs = 200 if work.side == 32 else 10
    timed = engine_steps.layers(
        network=work.network, side=work.side, runs=runs, instruction_set=chosen, **kind.arguments
    )
    peak, rows = engine_steps.tile_peak(chosen), []
    for row in timed:
        speed = row.pop("macs") / row["ns"]
        rows.append({**row, "us": round(row.pop("ns") / 1000, 2), "mac_per_cycle": round(speed * 1e9 / hertz, 2)})
        rows[-1]["of_peak"] = round(speed / peak, 3)
    columns = ["operation", "filters", "height", "width", "us", "mac_per_cycle", "of_peak"]
    print(f"{work.name}, {name}: layers; the tile's peak is {peak * 1e9 / hertz:.1f} multiply-adds a cycle")
    print(report.text_table([{column: row[column] for column in columns} for row in rows], columns))
    return [{column: row[column] for column in columns} for row in rows]
