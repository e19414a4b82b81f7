"""MobileNetV2's networks: the commands that make each, and the one that measures it.

All learn from the same training images, whose labels none of them reads.
"""

from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from comparison.entries import Command

_LEVELS, _BITS, _SEARCHED = (11, 9, 7, 5), (8, 6, 5, 4), (6, 5, 4)
_SHARE = 32  # bits of a float number: costs are shares of float layers'
# One pass over all layers, and no steps between them: 53 of them would take hours at 224 x 224.
# Views of 160 x 160: random crops show things larger than evaluation at 224 does.
_CASCADE = {"hessians": "paired", "statistics": "kept", "shrinkage": 0.2, "moment_images": 384, "steps": 0}
_CASCADE |= {"num_images": 1000, "views": 8, "mixed_views": 8, "view_size": 160, "match_batch_size": 32}
_CASCADE |= {"refine_by": "adam", "refine_steps": 1200, "refine_lr": 0.003}
_SEARCH = {"lam": 0, "step": 40, "search_epochs": 0, "score_images": 64, "batch_size": 50}
_CORRECTED = {"bias_correction": 500}
_DISTILLED = {"distill_weight": 1.0, "schedule": "cosine", "batch_size": 32}


@dataclass(frozen=True)
class Entry:
    """A network to make and measure.

    Attributes:
        name: of its row.
        method: that it is of.
        label: bits or levels, in words.
        make: commands that make it, in order.
        evaluation: the command that measures it, without the options for images, ``--json`` and ``--predictions``.
        file: of the network, once it is made and measured.
        training: what it learns by, in words.
    """

    name: str
    method: str
    label: str
    make: tuple[Command, ...]
    evaluation: Command
    file: Path
    training: str = "calibration"


def entries(args: Namespace) -> dict[str, Entry]:
    """All networks by name, the float one first."""
    return {entry.name: entry for entry in _all(args)}


def _all(args: Namespace) -> Iterator[Entry]:
    measured = Command("LDNQ/eval.py", {"checkpoint_path": args.pretrained, "arch": "mobilenet_v2"})
    yield Entry("float", "-", "float", (), measured, args.pretrained, "-")
    for levels in _LEVELS:
        yield from _ldnq(args, levels)
    for bits in _BITS:
        yield _uniform(args, bits)
    for bits in _SEARCHED:
        yield from _searched(args, bits)
    yield from _distilled(args)


def _ldnq(args: Namespace, levels: int) -> Iterator[Entry]:
    """Weights alone, and the same weights with activations of 8 bits."""
    folder = args.output_dir / f"ldnq{levels}"
    file, wide = folder / f"mobilenet_v2_{levels}levels.ckpt", folder / "a8.ckpt"
    options = {"arch": "mobilenet_v2", "pretrained": args.pretrained, "levels": levels, **_CASCADE}
    options |= {"output_dir": folder, "batch_size": 50}
    make = (Command("LDNQ/main.py", options, ("--searched_scales",)),)
    how = "matching"
    yield Entry(f"ldnq{levels}", "LDNQ", f"{levels} levels", make, _measured("LDNQ", file), file, how)
    grids = Command(
        "LDNQ/eval.py", {"checkpoint_path": file, "act_bits": 8, "save_checkpoint": wide, "act_images": 256}
    )
    yield Entry(f"ldnq{levels}a8", "LDNQ", f"{levels} levels, A8", make, grids, wide, how)


def _uniform(args: Namespace, bits: int) -> Entry:
    name = f"proqha_w{bits}a{bits}"
    options = _proqha(args, name) | {"bits": bits, "epochs": 0, "batch_size": 50, **_CORRECTED}
    make = (Command("ProQHA/train.py", options, ("--archtype", "quant", "--even_filters")),)
    return _of("ProQHA", name, f"W{bits}A{bits}", make, args)


def _searched(args: Namespace, bits: int) -> Iterator[Entry]:
    """Bits by the score, at the costs of the same bits everywhere; statistics as they are, then such as follow."""
    costs = {"cost": bits / _SHARE, "compute_cost": (bits / _SHARE) ** 2}
    for kind, label, correction in (("searched", "searched", {}), ("corrected", "searched and corrected", _CORRECTED)):
        name = f"proqha_{kind}{bits}"
        options = _proqha(args, name) | {**costs, **_SEARCH, **correction}
        search = Command("ProQHA/search.py", options, ("--even_filters", "--pseudo_labels"))
        yield _of("ProQHA", name, f"{label}, cost of W{bits}A{bits}", (search,), args)


def _proqha(args: Namespace, name: str) -> dict:
    """Options of a run of ProQHA's MobileNetV2 from the float network."""
    return {"arch": "mobilenetv2", "run_name": name, "output_dir": args.output_dir, "pretrained": args.pretrained}


def _distilled(args: Namespace) -> Iterator[Entry]:
    start = {"pretrained": args.pretrained, "distill": args.pretrained, "epochs": args.epochs, **_DISTILLED}
    start |= {"output_dir": args.output_dir}
    mobile = {**start, "arch": "mobilenet_v2"}
    adam = {**start, "arch": "mobilenetv2", "optimizer": "adam", "lr": 1e-4, "bits": 4, **_CORRECTED}
    made: list[tuple[str, str, str, Callable[..., Command]]] = [
        ("ProQHA", "distilled_proqha4", "W4A4", partial(Command, flags=("--archtype", "quant", "--even_filters"))),
        ("DAMBQ", "distilled_dambq4", "W4A4", partial(Command, flags=("--quantize",))),
        ("DynamicQuant", "distilled_dynamic4", "dynamic 3/4/5", Command),
        ("DynamicQuant", "distilled_dynamic5", "dynamic 4/5/6", Command),
    ]
    options = [adam, {**mobile, "lr": 5e-3}]
    options += [{**mobile, "lr": 5e-3, "warmup_epochs": 0, "quantizer": "pact", "bits": bits} for bits in (4, 5)]
    for (method, name, label, command), given in zip(made, options):
        make = (command(f"{method}/train.py", {**given, "run_name": name}),)
        yield _of(method, name, label, make, args, f"distillation, {args.epochs} epochs")


def _of(
    method: str, name: str, label: str, make: tuple[Command, ...], args: Namespace, training: str = "calibration"
) -> Entry:
    file = args.output_dir / name / f"{name}.ckpt"
    options = {"arch": "mobilenetv2"} if method == "ProQHA" else {}
    return Entry(name, method, label, make, _measured(method, file, **options), file, training)


def _measured(method: str, file: Path, **options: str) -> Command:
    return Command(f"{method}/eval.py", {"checkpoint_path": file, **options})
