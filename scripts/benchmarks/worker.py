"""A candidate's process: makes a step, and times it whenever a line on standard input asks for a turn.

usage: PYTHON scripts/benchmarks/worker.py MODULE FUNCTION ARGUMENTS

FUNCTION of MODULE is called with ARGUMENTS, a JSON object, and returns the step. Answers are lines of JSON on standard
output; whatever else is printed goes to standard error. Nothing of the project is imported here, so that the
interpreter may be one without MindSpore.
"""

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

_LONG = 2.0  # seconds of a step that needs no other one to warm up


def peak_mib() -> float:
    """Largest resident memory of this process, in MiB."""
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    peak = next((line for line in status.splitlines() if line.startswith("VmHWM")), "VmHWM: 0 kB")
    return int(peak.split()[1]) / 1024


def serve(step: Callable[[], object], answer: Callable[[object], None]) -> None:
    """Warm up, then time one step for each line of standard input."""
    for _ in range(2):  # compile, fill caches
        step()
    answer("ready")
    seconds = 0.0
    for _ in sys.stdin:
        if seconds < _LONG:  # while others had their turns, the system may have taken memory and caches away
            step()
        start = time.perf_counter()
        step()
        seconds = time.perf_counter() - start
        answer([seconds, peak_mib()])


def main() -> None:
    """Make the step that the command line names and serve it."""
    module, function, arguments = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sys.path[0] = str(Path(__file__).resolve().parents[1])  # not this folder: it has files of common names
    step = getattr(importlib.import_module(module), function)(**json.loads(arguments))
    serve(step, lambda content: print(json.dumps(content), file=answers, flush=True))


if __name__ == "__main__":
    main()
