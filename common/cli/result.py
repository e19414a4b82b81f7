"""The end of an evaluation: the JSON object of ``--json`` and the result line."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.cli.run_options import RunOptions
from common.evaluation import Metrics
from common.report import result_line, versions, write_json


def finish(options: RunOptions, metrics: Metrics, checkpoint: str | Path, record: Mapping[str, Any]) -> None:
    """End an evaluation: write the JSON object of ``--json`` and print the result line.

    Args:
        options: options of the script.
        metrics: metrics of the network.
        checkpoint: file of the network.
        record: figures that the method adds: method, network, bits, cost.
    """
    result = metrics.result()
    if options.json:
        speed = {"seconds": metrics.seconds, "images_per_second": metrics.images_per_second}
        about = {"checkpoint": str(checkpoint), "seed": options.seed, "versions": versions()}
        about |= {"dataset": options.data.dataset, "config": options.values}
        write_json(options.json, {**result, **record, **speed, **about})
    print(result_line(result, checkpoint))
