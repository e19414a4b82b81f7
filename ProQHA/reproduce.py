"""Search, train and evaluate on CIFAR-10 and record a row of results.csv each; what is there already is kept.

python reproduce.py --pretrained FLOAT.ckpt --dataset_path CIFAR10 --seeds 0 1 2

float      the float network, from scratch on all training images, or that of --pretrained
uniform    the same bits everywhere, from float
searched   bits found from 8 down to the uniform network's weight storage and bit operations, those of weights not below
           its own, then trained; with what it trained between the steps of the search as long as the uniform network
"""

import shutil
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType

from common import checkpoint, report
from common.cli import reproduction, typed
from common.cli.entry_point import entry_point
from common.cli.option_parser import OptionParser
from common.cli.reproduction import (
    add_network,
    add_pretrained,
    evaluated,
    folders_by_name,
    hours_of,
    network_words,
    thread_words,
)
from common.report.results import Results, mean
from ProQHA import eval as evaluation
from ProQHA import search, train

KEYS = ("network", "stage", "bits", "epochs", "search_epochs", "interval", "lr", "train_images", "seed", "data")
RESULTS = Results(Path(__file__).parent / "results.csv", KEYS)
COLUMNS = (*KEYS, "samples", "top1", "weight_bits", "activation_bits", "cost", "bit_operations", "file_bytes")
COLUMNS += ("hours", "mindspore")
FLOAT_BITS = 32


def make_parser() -> OptionParser:
    """Options of this script."""
    parser = reproduction.make_parser("Record ProQHA's results.", "official")
    network = "network, by its name in ProQHA; postresnet20_conv is what the other methods call resnet20_conv"
    add_network(parser, "postresnet20_conv", network)
    add_pretrained(parser, "float network to start from; trained first if not given", required=False)
    whole, positive = typed.int_range, typed.positive_int
    parser.add_argument("--float_epochs", type=positive, default=120, help="epochs of the float network")
    parser.add_argument("--epochs", type=positive, default=10, help="epochs of each quantized network, search included")
    parser.add_argument("--search_epochs", type=whole(0), default=0, help="epochs, of those, after each search step")
    parser.add_argument("--interval", type=whole(1, 6), default=1, help="number of bits that a search step takes away")
    images = "number of training images of quantized networks; all if not given"
    parser.add_argument("--train_samples", type=positive, metavar="N", help=images)
    parser.add_argument(
        "--bits",
        type=whole(2, 7),
        nargs="+",
        default=[4, 3],
        help="bits of the uniform networks to compare with, 2 to 7",
    )
    parser.add_argument(
        "--seeds", type=whole(0), nargs="+", default=[0, 1, 2], help="seeds of quantized networks, one run each"
    )
    rate = "learning rate of the first Adam step of quantized networks"
    parser.add_argument("--lr", type=typed.positive_float, default=1e-3, help=rate)
    return parser


def run(script: ModuleType, args: Namespace, name: str, options: Mapping[str, object], *flags: str) -> Path:
    """Run a script of this folder, or go on with it, and return the run's folder."""
    common = {"dataset": "cifar10", "dataset_path": args.dataset_path, "batch_size": 128}
    common |= {"run_name": name, "output_dir": args.output_dir}
    words = [word for option, value in {**common, **options}.items() for word in (f"--{option}", str(value))]
    script.main([*words, *flags, *network_words(args), *thread_words(args)])
    return args.output_dir / name


def float_network(args: Namespace) -> Path:
    """The float network's file, trained unless it is given or there."""
    if args.pretrained:
        return args.pretrained
    name = f"{args.arch}_float_{args.float_epochs}epochs"
    options = {"lr": 0.1, "epochs": args.float_epochs, "schedule": "cosine", "weight_decay": 5e-4, "seed": 0}
    folder = run(train, args, name, {**options, "warmup_epochs": 1})
    return folder / f"{name}.ckpt"


def quantized(args: Namespace, stage: str, bits: int, seed: int) -> Path:
    """A quantized network's file, searched or trained unless it is there."""
    name = f"{args.arch}_{stage}_{bits}bits_{args.epochs}epochs_seed{seed}"
    shared = {"seed": seed, "lr": args.lr, "weight_decay": 0, "grad_clip_norm": 5}
    shared |= {"train_samples": args.train_samples} if args.train_samples else {}
    training = {**shared, "archtype": "quant", "optimizer": "adam", "schedule": "cosine"}
    start = float_network(args)
    if stage == "uniform":
        options = {**training, "epochs": args.epochs, "bits": bits, "pre_k_bits": bits, "pretrained": start}
        return run(train, args, name, options) / f"{name}.ckpt"
    targets = {"cost": bits / FLOAT_BITS, "compute_cost": (bits / FLOAT_BITS) ** 2}
    options = {**shared, **targets, "pretrained": start, "search_epochs": args.search_epochs, "lam": 0, "step": 100}
    options |= {"interval": args.interval, "weight_floor": bits}
    searched = run(search, args, f"{name}_search", options, "--return_bits")
    steps = checkpoint.load(searched / "search.ckpt").metadata["search"]["records"][-1]["step"]
    shutil.copy(searched / "bits.png", RESULTS.path.with_name(f"bits_{bits}.png"))
    left = max(1, args.epochs - steps * args.search_epochs)
    options = {**training, "epochs": left, "init_from": searched / "search.ckpt"}
    return run(train, args, name, options) / f"{name}.ckpt"


def key_of(args: Namespace, stage: str, bits: int, seed: int) -> dict[str, object]:
    """Columns that tell the rows of a network from others; None where an option has no part in it."""
    key = {"network": args.arch, "stage": stage, "bits": bits, "seed": seed}
    if stage == "float":
        return key | {"epochs": 0 if args.pretrained else args.float_epochs, "train_images": "all"}
    key |= {"epochs": args.epochs, "lr": args.lr, "train_images": args.train_samples or "all"}
    searched = {"search_epochs": args.search_epochs, "interval": args.interval}
    return key | (searched if stage == "searched" else dict.fromkeys(searched))


def record(args: Namespace, stage: str, bits: int, seed: int) -> None:
    """Make a network unless its rows are there, evaluate it and write its rows."""
    key = key_of(args, stage, bits, seed)
    if all(RESULTS.has({**key, "data": name}) for name in folders_by_name(args)):
        return
    path = float_network(args) if stage == "float" else quantized(args, stage, bits, seed)
    words = network_words(args) if stage == "float" else []
    made = {**dict.fromkeys(COLUMNS), **key, "hours": hours(path)}
    for name, folder in folders_by_name(args).items():
        RESULTS.put({**made, "data": name, **measure(args, path, folder, *words)})


def hours(path: Path) -> str:
    """Hours that the epochs of a network's run took, without its search; nothing for a file from elsewhere."""
    return f"{hours_of(path.parent):.2f}" if (path.parent / "metrics.jsonl").is_file() else ""


def measure(args: Namespace, path: Path, folder: str, *words: str) -> dict:
    """Figures of a network in a row."""
    result = evaluated(evaluation, args, path, folder, *words)
    row = {"samples": result["samples"], "top1": f"{100 * result['acc']:.2f}", "file_bytes": path.stat().st_size}
    row["mindspore"] = result["versions"]["mindspore"]
    if totals := result.get("search"):
        row |= {"weight_bits": f"{totals['average_weight_bits']:.3f}", "cost": f"{totals['cost']:.4f}"}
        row |= {"activation_bits": f"{totals['average_activation_bits']:.3f}"}
        row |= {"bit_operations": round(totals["bit_operations"])}
    return row


def table(rows: Sequence[Mapping[str, str]]) -> str:
    """The table of the README: a line per stage and bits, mean and standard deviation over seeds per test set."""
    sets = list(dict.fromkeys((row["data"], row["samples"]) for row in rows))
    lines = []
    same = ("network", "stage", "bits", "epochs")
    for key in dict.fromkeys(tuple(row[name] for name in same) for row in rows):
        alike = [row for row in rows if tuple(row[name] for name in same) == key]
        line = {**dict(zip(same, key)), "seeds": len({row["seed"] for row in alike})}
        for column in ("weight_bits", "activation_bits", "cost", "bit_operations"):
            values = [float(row[column]) for row in alike if row[column]]
            line[column.replace("_", " ")] = f"{sum(values) / len(values):,.4g}" if values else "-"
        for data, samples in sets:
            scores = [float(row["top1"]) for row in alike if row["data"] == data]
            line[f"{data} top-1 % (N = {samples})"] = mean(scores) if scores else "-"
        lines.append(line)
    return report.markdown_table(lines, list(lines[0])) if lines else ""


def differences(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """Searched minus uniform, seed by seed, with mean and standard deviation; a line per bits and test set."""
    same = ("network", "bits", "epochs", "data")
    scores = {(r["stage"], *(r[name] for name in same), r["seed"]): float(r["top1"]) for r in rows}
    gaps: dict[tuple, list[float]] = {}
    for (stage, *alike, seed), value in scores.items():
        other = scores.get(("uniform", *alike, seed))
        if stage == "searched" and other is not None:
            gaps.setdefault(tuple(alike), []).append(value - other)
    return [
        f"{network}, {bits} bits, {epochs} epochs, {data}: {mean(values)} points"
        f" ({', '.join(f'{v:+.2f}' for v in values)})"
        for (network, bits, epochs, data), values in gaps.items()
    ]


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Make everything, one after the other."""
    args = reproduction.parse(make_parser(), argv)
    record(args, "float", FLOAT_BITS, 0)
    for seed in args.seeds:
        for bits in args.bits:
            for stage in ("uniform", "searched"):
                record(args, stage, bits, seed)
    print("\n".join(differences(RESULTS.rows())))


if __name__ == "__main__":
    main()
