"""The end of an evaluation: the JSON object of ``--json`` and the result line."""

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.cli.config import as_dict
from common.evaluation import Metrics
from common.report import result_line, versions, write_json


def finish(args: Namespace, metrics: Metrics, checkpoint: str | Path, record: Mapping[str, Any]) -> None:
    """End an evaluation: write the JSON object of ``--json`` and print the result line.

    Args:
        args: The resolved configuration.
        metrics: What was measured.
        checkpoint: What was evaluated.
        record: What the method adds: method, network, dataset, bits, cost.
    """
    result = metrics.result()
    if args.json:
        speed = {"seconds": metrics.seconds, "images_per_second": metrics.images_per_second}
        about = {"checkpoint": str(checkpoint), "seed": args.seed, "versions": versions(), "config": as_dict(args)}
        write_json(args.json, {**result, **record, **speed, **about})
    print(result_line(result, checkpoint))
