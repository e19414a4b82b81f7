"""Whether every image of a data folder can be read, before a long run meets the one that cannot."""

from collections.abc import Sequence

from common.cli.commands.words import command_parser
from common.cli.option_parser import OptionParser
from common.cli.typed import path as path_type
from common.cli.typed import positive_int
from common.data.inspection import Inspection, Part, inspect, parts, skipped
from common.errors import DataError
from common.report import text_table
from common.report.progress import Progress

SUMMARY = "read all images of the data folder DATA; exit status 2 on a fault"


def make_parser() -> OptionParser:
    """The folder and what it should hold."""
    parser = command_parser("check", SUMMARY, names=False)
    parser.add_argument("data", type=path_type, metavar="DATA", help="folder of a data set, or of one of its parts")
    kinds = "images must be 32 x 32 pixels for cifar10, may have any size for imagenet"
    parser.add_argument("--dataset", choices=["cifar10", "imagenet"], default="imagenet", help=kinds)
    parser.add_argument("--faults", type=positive_int, default=20, metavar="N", help="list at most so many")
    return parser


def run(words: Sequence[str]) -> None:
    """Print, for each part, images by class, files that are skipped, modes, remarks and faults.

    Raises:
        DataError: there are no images, or at least one cannot be read.
    """
    args = make_parser().parse_args(words)
    inspections = [_inspected(part, args.dataset == "cifar10") for part in parts(args.data)]
    for inspection in inspections:
        print(*_lines(inspection, args.faults), sep="\n")
    if len(inspections) == 2 and (shared := len(inspections[0].digests & inspections[1].digests)):
        print(f"warning: {shared} different images are in both parts: a network would be tested on what it learnt")
    faults = [fault for each in inspections for fault in each.faults]
    total = sum(len(each.part) for each in inspections)
    if faults:
        raise DataError(f"{args.data}: {len(faults)} faults in {total} images, the first: {faults[0]}")
    print(f"{args.data}: all {total} images can be read")


def _inspected(part: Part, small: bool) -> Inspection:
    with Progress(len(part), "images", label=f"check {part.name}") as progress:
        return inspect(part, small, progress.update)


def _lines(inspection: Inspection, most: int) -> list[str]:
    part, others = inspection.part, skipped(inspection.part)
    lines = [f"{part.name}: {len(part)} images of {len(inspection.counts)} classes in {part.folder}"]
    rows = [{"class": name, "images": count} for name, count in inspection.counts.items()]
    lines += [text_table(rows, ("class", "images"))]
    lines += [others] if others else []
    lines += ["modes: " + ", ".join(f"{count} {mode}" for mode, count in inspection.modes.most_common())]
    for what, texts in (("remark", inspection.remarks), ("fault", inspection.faults)):
        lines += [f"{what}: {text}" for text in texts[:most]]
        lines += [f"and {len(texts) - most} more {what}s"] if len(texts) > most else []
    return lines
