"""Evaluate a float network or one that train.py has quantized."""

from common.cli import config, evaluation
from common.cli.entry_point import entry_point
from common.cli.option_parser import OptionParser
from common.cli.run_options import run_options
from DAMBQ import options, storage
from DAMBQ.report import summarize
from DAMBQ.rounding import rounded


def make_parser() -> OptionParser:
    """Options of this script."""
    return evaluation.add_options(options.add_rounding(options.eval_parser()))


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Load, evaluate, report."""
    args = config.parse(make_parser(), argv)
    network, levels = options.network_options(args), options.rounding_options(args)
    evaluation.run(
        run_options(args),
        shipped=storage.shipped,
        load=lambda path: storage.load(path, network.arch, network.num_classes),
        ready=lambda stored: rounded(stored) if levels.table else stored,
        summarize=summarize,
        measure=lambda of: evaluation.measure_and_save(of, levels.file, storage.save_packed),
    )


if __name__ == "__main__":
    main()
