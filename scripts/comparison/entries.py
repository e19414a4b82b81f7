"""Networks to compare: for each method and number of bits, the commands that make one and the one that measures it.

All start from one float ResNet-20, learn from the same images for as many epochs, and are measured on the same test
images, but for two: LDNQ learns from a few of the images, without labels; AdderQuant's networks, which have layers of
another kind, start from a float network of their own and are calibrated.
"""

from argparse import Namespace
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

METHODS = ("float", "uniform", "ProQHA", "DAMBQ", "DynamicQuant", "LDNQ", "AdderQuant")
_LEVELS = {2: 3, 3: 7, 4: 11}  # LDNQ's levels by the bits of a code: the most that these can tell apart
_FLOAT_BITS = 32
_ADDER_IMAGES = 1024  # images that AdderQuant calibrates with
# The digits shall take minutes: LDNQ takes a quarter of the views and of the steps after a layer, an eighth of the
# refinement; ProQHA scores on half of the images.
_SHORT = {"LDNQ": {"views": 5, "steps": 4, "refine_steps": 25}, "ProQHA": {"score_images": 256}}


@dataclass(frozen=True)
class Command:
    """A script of a method's folder with its options.

    Attributes:
        script: ``METHOD/name.py``.
        options: options with values; a list is several values.
        flags: options without values.
    """

    script: str
    options: Mapping[str, Any] = field(default_factory=dict)
    flags: tuple[str, ...] = ()

    def words(self) -> list[str]:
        """The words of the command line after the name of the script."""
        line = list(self.flags)
        for name, value in self.options.items():
            values = value if isinstance(value, list | tuple) else [value]
            line += [f"--{name}", *map(str, values)]
        return line


@dataclass(frozen=True)
class Entry:
    """A network to make and measure.

    Attributes:
        method: one of ``METHODS``.
        bits: budget in bits, 32 for float.
        make: commands that make the network, in order; none if there is nothing to train.
        evaluation: command that measures it, without the options for images and ``--json``.
        file: file of the network on disk.
        epochs: epochs of all trainings together; None if there is none.
        images: number of images that it learned from; None: all training images, or ``--train_samples``.
    """

    method: str
    bits: int
    make: tuple[Command, ...]
    evaluation: Command
    file: Path
    epochs: int | None = None
    images: int | None = None


def entries(args: Namespace) -> Iterator[Entry]:
    """The networks that the options of ``compare.py`` name, float ones first."""
    for method in (name for name in METHODS if name in args.methods):
        if method == "float":
            yield Entry("float", _FLOAT_BITS, (), _measured("LDNQ", args.pretrained), args.pretrained)
            continue
        if method == "AdderQuant":
            file = args.adder_pretrained
            yield Entry(method, _FLOAT_BITS, (), _measured(method, file, bits=_FLOAT_BITS), file)
        for bits in args.bits:
            yield _MAKERS[method](args, bits)


def _training(args: Namespace, **options: Any) -> dict[str, Any]:
    return {"seed": args.seed, "batch_size": args.train_batch_size, "output_dir": args.output_dir, **options}


def _shortened(args: Namespace, method: str) -> dict[str, int]:
    return _SHORT[method] if args.dataset == "digits" else {}


def _finetuned(args: Namespace, name: str, start: dict[str, Path], epochs: int, **options: Any) -> Command:
    """ProQHA's training of a network with fixed bits."""
    words = _training(args, run_name=name, arch="postresnet20", archtype="quant", epochs=epochs, **start)
    words |= {"optimizer": "adam", "schedule": "cosine", "lr": 1e-3, "weight_decay": 0, "grad_clip_norm": 5, **options}
    return Command("ProQHA/train.py", words)


def _uniform(args: Namespace, bits: int) -> Entry:
    name = f"uniform{bits}"
    file = args.output_dir / name / f"{name}.ckpt"
    make = _finetuned(args, name, {"pretrained": args.pretrained}, args.epochs, bits=bits, pre_k_bits=bits)
    return Entry("uniform", bits, (make,), _measured("ProQHA", file, arch="postresnet20"), file, args.epochs)


def _proqha(args: Namespace, bits: int) -> Entry:
    """Searched on the float network as ``reproduce.py`` does, then trained as long as the others."""
    name = f"proqha{bits}"
    file, searched = args.output_dir / name / f"{name}.ckpt", f"{name}_search"
    targets = {"cost": bits / _FLOAT_BITS, "compute_cost": (bits / _FLOAT_BITS) ** 2}
    search = _training(args, run_name=searched, arch="postresnet20", pretrained=args.pretrained, lam=0, step=100)
    search |= {
        "interval": 1,
        "weight_floor": bits,
        "search_epochs": 0,
        "lr": 1e-3,
        "weight_decay": 0,
        "grad_clip_norm": 5,
        **targets,
        **_shortened(args, "ProQHA"),
    }
    start = {"init_from": args.output_dir / searched / "search.ckpt"}
    make = (Command("ProQHA/search.py", search, ("--return_bits",)), _finetuned(args, name, start, args.epochs))
    return Entry("ProQHA", bits, make, _measured("ProQHA", file, arch="postresnet20"), file, args.epochs)


def _dambq(args: Namespace, bits: int) -> Entry:
    """Budgets below 4 bits are trained from 4 bits, half of the epochs each, where those are enough to reach them."""
    name, options = f"dambq{bits}", {"arch": "resnet20", "lr": 0.02, "schedule": "cosine"}
    file, first = args.output_dir / name / f"{name}.ckpt", args.epochs // 2 if bits < 4 <= args.epochs else 0
    start, commands = {"pretrained": args.pretrained}, []
    if first:
        before = _training(args, run_name=f"{name}_start", epochs=first, **start)
        commands.append(Command("DAMBQ/train.py", options | before, ("--quantize",)))
        start = {"init_from": args.output_dir / f"{name}_start" / "final.ckpt"}
    epochs = args.epochs - first
    options |= _training(args, run_name=name, epochs=epochs, wgt_target=bits, act_target=bits, **start)
    if bits < 4:
        shares = [0.4, 0.8] if epochs > 2 or bits > 2 else [1, 1]  # two epochs take two bits only from all at once
        options |= {"shares": shares, "duration": [0, max(1, epochs // 3)]}
    commands.append(Command("DAMBQ/train.py", options, ("--quantize",)))
    return Entry("DAMBQ", bits, tuple(commands), _measured("DAMBQ", file), file, args.epochs)


def _dynamic(args: Namespace, bits: int) -> Entry:
    name = f"dynamic{bits}"
    file = args.output_dir / name / f"{name}.ckpt"
    options = _training(args, run_name=name, arch="resnet20", pretrained=args.pretrained, bits=bits, epochs=args.epochs)
    options |= {"quantizer": "pact", "lr": 0.02, "schedule": "cosine", "warmup_epochs": 0}
    make = (Command("DynamicQuant/train.py", options),)
    return Entry("DynamicQuant", bits, make, _measured("DynamicQuant", file), file, args.epochs)


def _ldnq(args: Namespace, bits: int) -> Entry:
    """Weights alone, from ``--calibration_images`` unlabelled images."""
    levels, folder = _LEVELS[bits], args.output_dir / f"ldnq{bits}"
    file = folder / f"resnet20_{levels}levels.ckpt"
    options = {"seed": args.seed, "pretrained": args.pretrained, "levels": levels, "output_dir": folder}
    options["num_images"] = args.calibration_images
    options |= _shortened(args, "LDNQ")
    make = Command("LDNQ/main.py", options)
    return Entry("LDNQ", bits, (make,), _measured("LDNQ", file), file, images=args.calibration_images)


def _adder(args: Namespace, bits: int) -> Entry:
    file = args.output_dir / f"adder{bits}.ckpt"
    options = {"seed": args.seed, "bits": bits, "checkpoint_path": args.adder_pretrained, "save_checkpoint": file}
    options |= {"calibration_size": _ADDER_IMAGES, "num_samples": 1}  # to calibrate is all there is to do
    make = Command("AdderQuant/eval.py", options)
    return Entry("AdderQuant", bits, (make,), _measured("AdderQuant", file), file, images=_ADDER_IMAGES)


def _measured(method: str, file: Path, **options: Any) -> Command:
    return Command(f"{method}/eval.py", {"checkpoint_path": file, **options})


_MAKERS = {
    "uniform": _uniform,
    "ProQHA": _proqha,
    "DAMBQ": _dambq,
    "DynamicQuant": _dynamic,
    "LDNQ": _ldnq,
    "AdderQuant": _adder,
}
