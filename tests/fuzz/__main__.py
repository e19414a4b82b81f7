"""Fuzz all formats that are read from files: ``python -m tests.fuzz``, from the folder of the repository.

Every damaged file must be refused in one line, or read; within 10 s, with 1 GiB more memory, and nothing that a
checksum covers may change in silence. ``--minutes`` goes on with other mutations; ``--record`` keeps the counts for the
README.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests" / "contracts"))

from common.report import write_rows  # noqa: E402
from tests.fuzz.run import BYTES, Outcome, fuzz, limit_memory  # noqa: E402
from tests.fuzz.targets import Target, targets  # noqa: E402

RESULTS = Path(__file__).with_name("results.csv")
_ROUND = 5000  # mutations over all formats; after each, counts are recorded
Outcomes = dict[str, Outcome]


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--mutations", type=int, default=_ROUND, metavar="N", help="over all formats (default %(default)s)"
    )
    parser.add_argument("--minutes", type=float, metavar="M", help="go on for so long, with other mutations")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--format", metavar="TEXT", help="formats alone whose name contains it")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="number of the first mutation of each format")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="where files stay, those with faults among them")
    parser.add_argument("--record", action="store_true", help=f"write {RESULTS.relative_to(ROOT)}")
    return parser


def _round(chosen: list[Target], share: int, seed: int, folder: Path, outcomes: Outcomes, firsts: Counter) -> None:
    """So many mutations over all formats, each format from its own number on."""
    total = sum(target.weight for target in chosen)
    for index, target in enumerate(chosen):
        place = folder / str(index)
        place.mkdir(exist_ok=True)
        first, count = firsts[target.name], max(1, round(share * target.weight / total))
        made = fuzz(target, range(first, first + count), seed, place)
        firsts[target.name] += count
        outcome = outcomes.setdefault(target.name, Outcome())
        outcome.counts.update(made.counts)
        outcome.faults += made.faults
        print(*made.faults, sep="\n", end="\n" if made.faults else "", flush=True)


def _share(left: int) -> int:
    """Mutations of the next round; a whole one where the clock alone asks for more."""
    return min(_ROUND, left) if left > 0 else _ROUND


def main() -> int:
    """Fuzz; the number of faults decides the exit status."""
    args = make_parser().parse_args()
    outcomes: Outcomes = {}
    with tempfile.TemporaryDirectory() as made:
        folder = args.keep or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        chosen = [target for target in targets(folder) if (args.format or "") in target.name]
        limit_memory(3 * BYTES)  # address space: threads reserve more of it than they use
        firsts = Counter({target.name: args.first for target in chosen})
        end, total = time.monotonic() + 60 * (args.minutes or 0), 0
        while total < args.mutations or time.monotonic() < end:
            _round(chosen, _share(args.mutations - total), args.seed, folder, outcomes, firsts)
            total = sum(outcome.counts.total() for outcome in outcomes.values())
            if args.record:
                write_rows(RESULTS, [_row(name, outcome, args.seed) for name, outcome in outcomes.items()])
            print(f"{total} mutations, {sum(len(outcome.faults) for outcome in outcomes.values())} faults", flush=True)
    return 1 if any(outcome.faults for outcome in outcomes.values()) else 0


def _row(name: str, outcome: Outcome, seed: int) -> dict[str, object]:
    counts = outcome.counts
    row = {"format": name, "seed": seed, "mutations": counts.total(), "refused": counts["refused"]}
    return {**row, "read": counts["read"], "faults": len(outcome.faults)}


if __name__ == "__main__":
    sys.exit(main())
