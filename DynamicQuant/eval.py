"""Evaluate a dynamic network and say what its images chose, or evaluate a static or float one."""

from common.cli import config, evaluation
from common.cli.entry_point import entry_point
from common.cli.option_parser import OptionParser
from common.cli.run_options import run_options
from DynamicQuant import options, report, storage
from DynamicQuant.frozen import load_frozen


def make_parser() -> OptionParser:
    """Options of this script."""
    return evaluation.add_options(options.eval_parser())


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Load, evaluate, report."""
    args = config.parse(make_parser(), argv)
    network, wanted = options.network_options(args), options.ReportOptions(args.smoothing, args.plots)
    evaluation.run(
        run_options(args),
        shipped=storage.shipped,
        load=lambda path: load_frozen(path, network.arch, network.num_classes),
        summarize=lambda stored, path, _: report.summarize(stored, path, wanted),
        measure=lambda begun: report.measure(begun, wanted),
    )


if __name__ == "__main__":
    main()
