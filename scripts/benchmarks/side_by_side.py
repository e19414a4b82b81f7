"""Works that the zoo, PyTorch, onnxruntime and OpenVINO each do in one run: one row per work and candidate."""

import argparse
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import isa, our_steps, peer_steps, peers, processor, selection
from benchmarks.harness import Candidate, machine, take_turns
from common.errors import ConfigError

COMPILING = 180.0  # seconds that a candidate may take to compile


@dataclass(frozen=True)
class Kind:
    """What does a work.

    Attributes:
        setup: function that makes the step, see :class:`benchmarks.harness.Candidate`.
        packages: packages of other libraries that it needs; the first one computes.
        arguments: arguments of its own.
        patience: seconds that it may take to get ready.
    """

    setup: Callable[..., Any]
    packages: tuple[str, ...] = ()
    arguments: Mapping[str, Any] = field(default_factory=dict)
    patience: float | None = None


@dataclass(frozen=True)
class Work:
    """One work.

    Attributes:
        name: name in the table.
        network: name of its network.
        batch_size: images per step, unless asked otherwise.
        side: height and width of an image.
        macs: multiply-adds (AdderNet: taps) of a forward pass on one image, without those of BatchNorm.
        candidates: names in ``KINDS``.
    """

    name: str
    network: str
    batch_size: int
    side: int
    macs: int
    candidates: tuple[str, ...]

    @property
    def training(self) -> bool:
        """Whether it is a step of training, which has three times the forward pass's multiply-adds."""
        return self.name.endswith("training")


PYTORCH = ("PyTorch eager", "PyTorch channels_last", "PyTorch compiled")
RUNTIMES = ("onnxruntime float", "OpenVINO float")
OURS, BEFORE = "ours", " before"
QUANTIZED = {
    "ours W2A2": our_steps.DAMBQ,
    "ours ProQHA W4A4": our_steps.PROQHA,
    "ours DynamicQuant static": our_steps.STATIC,
    "ours DynamicQuant": our_steps.DYNAMIC,
}
KINDS = {
    OURS: Kind(our_steps.step),
    **{name: Kind(our_steps.step, (), {"network": network}) for name, network in QUANTIZED.items()},
    PYTORCH[0]: Kind(peer_steps.torch_step, ("torch",), {"form": "eager"}),
    PYTORCH[1]: Kind(peer_steps.torch_step, ("torch",), {"form": "channels_last"}),
    PYTORCH[2]: Kind(peer_steps.torch_step, ("torch",), {"form": "compiled"}, COMPILING),
    RUNTIMES[0]: Kind(peer_steps.runtime_step, ("onnxruntime", "torch", "onnx"), {"runtime": "onnxruntime"}),
    RUNTIMES[1]: Kind(peer_steps.runtime_step, ("openvino", "torch", "onnx"), {"runtime": "openvino"}),
}
_FLOAT = (OURS, *PYTORCH)
RESNET20_MACS, RESNET18_MACS, MOBILENET_MACS = 40_551_040, 1_814_073_344, 300_774_272
WORKS = {
    "training": (
        Work("ResNet-20 training", "resnet20", 128, 32, RESNET20_MACS, (OURS, *QUANTIZED, *PYTORCH)),
        Work("AdderNet training", "adder_resnet20", 128, 32, 40_813_184, (OURS,)),
    ),
    "float": (Work("ResNet-20 forward", "resnet20", 128, 32, RESNET20_MACS, (*_FLOAT, *RUNTIMES)),),
    "imagenet": (
        Work("ResNet-18 forward", "resnet18", 16, 224, RESNET18_MACS, (*_FLOAT, *RUNTIMES)),
        Work("ResNet-18 training", "resnet18", 16, 224, RESNET18_MACS, _FLOAT),
        Work("MobileNetV2 forward", "mobilenet_v2", 16, 224, MOBILENET_MACS, (*_FLOAT, *RUNTIMES)),
    ),
}


def run(works: tuple[Work, ...], args: argparse.Namespace) -> list[dict]:
    """Rows of all works; the machine and what is left out on standard error."""
    names, installed = selection.works([work.name for work in works], args.work), peers.versions(args.peers)
    check_tree(args.before)
    print(caption(installed, args), file=sys.stderr)
    rows = []
    for work in (work for work in works if work.name in names):
        candidates = make_candidates(work, args, installed)
        take_turns(candidates, args.rounds)
        rows += [row(work, candidate, args.isa) for candidate in candidates if candidate.seconds]
    return rows


def check_tree(folder: Path | None) -> None:
    """Refuse a folder that is no checkout of the project.

    Raises:
        ConfigError: it has no package ``common``.
    """
    if folder is not None and not (folder / "common" / "__init__.py").is_file():
        raise ConfigError(f"--before: expected a checkout of the project, found no common/__init__.py in {folder}")


def make_candidates(work: Work, args: argparse.Namespace, installed: Mapping[str, str]) -> list[Candidate]:
    """The candidates of a work whose packages are installed; one line on each of the others.

    With ``--before`` each of the project's own is followed by the same one of the other checkout.
    """
    made = []
    for name in selection.candidates(work.candidates, args.candidates):
        kind = KINDS[name]
        arguments = {"network": work.network, "training": work.training, "side": work.side, "threads": args.threads}
        arguments |= {"batch_size": args.batch_size or work.batch_size}
        if (candidate := candidate_of(name, kind, arguments, args, installed)) is None:
            continue
        made.append(candidate)
        if not kind.packages and args.before is not None:
            made.append(Candidate(name + BEFORE, kind.setup, candidate.arguments, tree=args.before.resolve()))
    return made


def candidate_of(
    name: str, kind: Kind, arguments: Mapping[str, Any], args: argparse.Namespace, installed: Mapping[str, str]
) -> Candidate | None:
    """A candidate in its interpreter; None, and a line on standard error, if a package that it needs is missing.

    Args:
        name: in the table.
        kind: what does the work.
        arguments: of its setup, beside those of the kind.
        args: options of the benchmark.
        installed: versions of the packages that are there.
    """
    if line := peers.missing(name, kind.packages, installed):
        print(line, file=sys.stderr)
        return None
    candidate = Candidate(name, kind.setup, {**arguments, **kind.arguments}, patience=kind.patience)
    if kind.packages:
        candidate.python, candidate.environment = args.peers, args.peers_environment
    return candidate


def row(work: Work, candidate: Candidate, limit: str) -> dict[str, Any]:
    """The measurement of a candidate.

    ``mac_per_cycle`` is the work's multiply-adds (of training: 3 times those of the forward pass) by seconds, frequency
    (measured, see :mod:`benchmarks.processor`) and threads.
    """
    batch_size, threads = candidate.arguments["batch_size"], candidate.arguments["threads"]
    macs, hertz = work.macs * batch_size * (3 if work.training else 1), processor.frequency()
    package = next(iter(KINDS[candidate.name.removesuffix(BEFORE)].packages), "")
    return {
        "work": work.name,
        "candidate": candidate.name,
        "batch": batch_size,
        "threads": threads,
        "isa": isa.of(limit, package),
        "ms": round(1000 * candidate.median, 1),
        "images_per_s": round(batch_size / candidate.median, 1),
        "mac_per_cycle": round(macs / (candidate.median * hertz * threads), 2) if hertz else None,
        "peak_mib": round(candidate.peak_mib),
    }


def caption(installed: Mapping[str, str], args: argparse.Namespace) -> str:
    """Description of machine, libraries and settings, in one line."""
    hertz = processor.frequency()
    parts = {
        "processor": processor.name(),
        "GHz": f"{hertz / 1e9:.2f}" if hertz else "unknown",
        "cores": machine()["cores"],
        "kernels": machine()["integer adder kernel"],
        "threads": args.threads,
        "isa": args.isa,
        "rounds": args.rounds,
        **installed,
    }
    return "; ".join(f"{key}: {value}" for key, value in parts.items())
