"""Which layers suffer from fewer bits, and bits for a budget."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from common.cli import typed
from common.cli.option_parser import OptionParser
from common.data import DATASETS
from common.errors import ConfigError
from common.runtime.installed import require_mindspore

SUMMARY = "measure what 8 to 2 bits of each layer cost, and plan bits for a budget"
_SHOWN = 20

# From a name or file to a common.stored.network.StoredNetwork.
Load = Callable[[str], Any]


def make_parser() -> OptionParser:
    """Network, images, widths, budget."""
    parser = OptionParser(f"{SUMMARY[0].upper()}{SUMMARY[1:]}; one quantizer at a time, the rest stays float.")
    parser.prog = "python -m lowbitzoo sensitivity"
    parser.add_argument("--checkpoint", required=True, metavar="NAME|FILE", help="a float network")
    parser.add_argument("--dataset", choices=DATASETS, default="digits", help="data set of the images")
    parser.add_argument("--dataset_path", type=typed.path, metavar="DIR", help="its folder; its training images count")
    parser.add_argument("--num_images", type=typed.positive_int, default=256, metavar="N", help="images of each loss")
    parser.add_argument("--batch_size", type=typed.positive_int, default=64, metavar="B", help="images at a time")
    widths = "bits that are tried, 2 to 8 each; DAMBQ takes at most 4"
    parser.add_argument("--bits", type=typed.int_range(2, 8), nargs="+", default=[8, 7, 6, 5, 4, 3, 2], help=widths)
    parser.add_argument("--bytes", type=typed.positive_int, metavar="N", help="plan bits for so many bytes of weights")
    parser.add_argument("--bitops", type=typed.positive_float, metavar="N", help="or so many bit operations an image")
    parser.add_argument("--output_dir", type=typed.path, default=Path("sensitivity"), help="folder of what is written")
    return parser


def run(words: Sequence[str], load: Load | None = None) -> None:
    """Measure, print the most costly quantizers, write CSV, picture and, for a budget, ``bits.json``.

    Raises:
        ConfigError: two budgets, a network that is not float, or one that cannot be quantized.
        CheckpointError, DataError: network or images are missing or damaged.
    """
    args = make_parser().parse_args(words)
    if load is None:
        raise ConfigError("sensitivity: what computes is not in this package; run python -m lowbitzoo sensitivity")
    if args.bytes and args.bitops:
        raise ConfigError("bytes: expected one budget, found --bytes and --bitops; leave one out")
    require_mindspore("sensitivity")
    from common.runtime import context

    context.setup()
    stored = load(args.checkpoint)
    if stored.kind != "float":
        raise ConfigError(
            f"checkpoint: expected a float network, found a {stored.kind} one of {stored.metadata['method']}"
        )
    from common.evaluation import sensitivity

    images, labels, size = _images(args, stored.metadata)
    found = sensitivity.measure(stored.network, images, labels, tuple(dict.fromkeys(args.bits)), size)
    _write(found, args.output_dir)
    if args.bytes or args.bitops:
        _plan(found, args)


def _images(args: Any, metadata: dict[str, Any]) -> tuple[Any, Any, int]:
    """Images, labels, and how many go at a time."""
    import numpy as np

    from common.cli.classes import fit, open_images
    from common.data import DataSelection
    from common.models.registry import preprocessing_of

    source = fit(open_images(DataSelection(args.dataset, args.dataset_path), "train"), metadata, "train")
    count = min(args.num_images, len(source))
    size = min(args.batch_size, count)
    count = count // size * size
    chosen, preprocessing = source.spread(count), preprocessing_of(args.dataset, metadata)
    chosen.check(preprocessing)
    return chosen.eval_batch(np.arange(count), preprocessing), chosen.labels, size


def _write(found: Any, folder: Path) -> None:
    from dataclasses import asdict

    from common.cli.commands import sensitivity_picture
    from common.report import text_table
    from common.report.csv_rows import write_rows

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"output_dir: cannot make {folder}: {error.strerror}") from None
    rows = [asdict(entry) for entry in found.entries]
    write_rows(folder / "sensitivity.csv", rows)
    sensitivity_picture.plot(found, folder / "sensitivity.png")
    print(f"float network: loss {found.loss:.4f}, accuracy {found.accuracy:.4f} of {found.samples} training images")
    shown = [{**row, **{key: f"{row[key]:.4f}" for key in ("score", "loss", "rise", "accuracy")}} for row in rows]
    print(text_table(shown[:_SHOWN], list(rows[0])))
    print(f"{len(rows)} rows in {folder / 'sensitivity.csv'}, picture in {folder / 'sensitivity.png'}")


def _plan(found: Any, args: Any) -> None:
    from common.evaluation.bit_plan import plan_bits
    from common.quant.bits_file import write_bits
    from common.report import text_table

    names = list(found.layers)
    budget, limit = ("bytes", args.bytes) if args.bytes else ("bitops", args.bitops)
    plan = plan_bits(found, budget, limit, (names[0], names[-1]))
    write_bits(args.output_dir / "bits.json", plan.bits)
    rows = [{"layer": name, "weights": bits[0], "inputs": bits[1]} for name, bits in plan.bits.items()]
    print(text_table(rows, ("layer", "weights", "inputs")))
    print(f"{plan.spent:,.0f} of {limit:,.0f} {budget} ({names[0]} and {names[-1]}, first and last, not counted)")
    print(f"rises of the loss add up to {plan.rise:.4f}; ProQHA, DAMBQ: --bits_file {args.output_dir / 'bits.json'}")
