"""Kill long jobs by SIGKILL at random times, start them again, and compare what they leave with a job that ran through.

python scripts/kill_test.py                              # all jobs, 2 kills each
python scripts/kill_test.py --jobs search compare --kills 12 --seed 3
python scripts/kill_test.py --kills 12 --record          # 108 kills, counted in the README's table

Each job is a training, a search, a cascade, a comparison or a download on little data. It must end with the same bits
as one that was not killed, but for times and dates, which are listed by name, and nothing may be left behind.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from killing.endings import Ending
from killing.jobs import ROOT, Job, jobs
from killing.server import serving

from common.cli import typed
from common.cli.entry_point import entry_point
from common.cli.option_parser import OptionParser
from common.errors import ConfigError
from common.report import replace_row

RESULTS = ROOT / "scripts" / "killing" / "results.csv"
_HOURS = 1.0  # for one start of one job
_STARTS = 0.3  # share of a job's time before which few kills fall: until then nothing but imports has happened


@dataclass
class Result:
    """What came of a job: kills, rounds (starts from nothing to the end), and the differences that may be."""

    kills: int
    rounds: int
    seconds: float
    allowed: set[str]

    def row(self) -> dict[str, object]:
        """Values of a table."""
        but = ", ".join(sorted(self.allowed)) or "nothing"
        return {"kills": self.kills, "rounds": self.rounds, "seconds": round(self.seconds), "but for": but}

    def __str__(self) -> str:
        row = self.row()
        rounds = f"{self.kills} kills in {self.rounds} rounds of {row['seconds']} s"
        return f"{rounds}: the same bits, but for: {row['but for']}"


def make_parser() -> OptionParser:
    """Options of this script."""
    parser = OptionParser("Kill long jobs and compare their ends.")
    parser.add_argument("--jobs", nargs="+", choices=list(jobs("")), default=list(jobs("")), help="which of them")
    parser.add_argument("--kills", type=typed.positive_int, default=2, metavar="N", help="of each job")
    parser.add_argument("--seed", type=typed.int_range(0), default=0, help="of the times of the kills")
    parser.add_argument("--record", action="store_true", help=f"write {RESULTS.relative_to(ROOT)}")
    parser.add_argument("--work_dir", type=typed.path, metavar="DIR", help="for the files; else a temporary one")
    return parser


class Killing:
    """A job in a folder that is the same each time, for some files name it.

    Args:
        job: to run.
        folder: for its files and those to compare with.
        rng: of the times.
    """

    def __init__(self, job: Job, folder: Path, rng: np.random.Generator):
        self.job, self.folder, self.rng = job, folder, rng
        self.output, self.log = folder / "output", folder / "log.txt"

    def start(self) -> subprocess.Popen:
        """Begin, or go on."""
        words = {"PYTHONPATH": str(ROOT), **self.job.variables(self.output)}
        with self.log.open("ab") as log:
            return subprocess.Popen(
                self.job.command(self.output),
                cwd=self.job.folder,
                env=os.environ | words,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def finish(self) -> float:
        """Run to the end; seconds.

        Raises:
            ConfigError: the job fails.
        """
        begun = time.monotonic()
        status = self.start().wait(_HOURS * 3600)
        if status:
            last = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
            raise ConfigError(f"a job ended with status {status} ({last}); its output is in {self.log}")
        return time.monotonic() - begun

    def straight(self) -> float:
        """Run without a kill and keep the files to compare with; seconds."""
        seconds = self.finish()
        self.output.rename(self.folder / "straight")
        return seconds

    def kill_once(self, seconds: float) -> bool:
        """Start, and kill at a time drawn from that of a whole run; whether it was not over before."""
        process = self.start()
        try:
            process.wait(seconds * (self.rng.random() if self.rng.random() < _STARTS else self.rng.uniform(_STARTS, 1)))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return True
        if process.returncode:
            raise ConfigError(f"a job ended with status {process.returncode}; its output is in {self.log}")
        return False

    def run(self, kills: int) -> Result:
        """Kill so often, over as many rounds as that takes.

        Raises:
            ConfigError: a job fails, or ends otherwise than the one that ran through.
        """
        seconds, done, rounds, allowed = self.straight(), 0, 0, set()
        while done < kills:
            if self.output.exists():
                shutil.rmtree(self.output)
            over = False
            while done < kills and not over:
                over = not self.kill_once(seconds)
                done += not over
            if not over:
                self.finish()
            rounds += 1
            ending = Ending(self.folder / "straight", self.output)
            if ending.faults:
                more = f" and {len(ending.faults) - 1} more" if ending.faults[1:] else ""
                raise ConfigError(f"after {done} kills: {ending.faults[0]}{more}; the files are in {self.folder}")
            allowed |= ending.allowed
        return Result(done, rounds, seconds, allowed)


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Run the jobs one after the other; a line each, exit status 2 if any ends otherwise."""
    args = make_parser().parse_args(argv)
    work = args.work_dir or Path(tempfile.mkdtemp(prefix="lowbitzoo_kill_test."))
    failed = []
    with serving() as address:
        for number, name in enumerate(args.jobs):
            folder = work / name
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            try:
                result = Killing(jobs(address)[name], folder, np.random.default_rng((args.seed, number))).run(
                    args.kills
                )
            except ConfigError as error:
                failed.append(name)
                print(f"{name}: FAILED: {error}", flush=True)
                continue
            print(f"{name}: {result}", flush=True)
            if args.record:
                replace_row(RESULTS, ["job"], {"job": name, "seed": args.seed, **result.row()})
            shutil.rmtree(folder)
    if failed:
        raise ConfigError(f"{len(failed)} of {len(args.jobs)} jobs ended otherwise: {', '.join(failed)}; see {work}")
    if not args.work_dir:
        shutil.rmtree(work)


if __name__ == "__main__":
    sys.exit(main())
