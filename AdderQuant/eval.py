"""Evaluate an AdderNet in float or at 2 to 8 bits: calibrate it first, or load what was calibrated before."""

from AdderQuant import options, storage
from AdderQuant.prepare import prepare, save
from AdderQuant.report import summarize
from common.cli import config, evaluation
from common.cli.entry_point import entry_point
from common.cli.option_parser import OptionParser
from common.cli.run_options import run_options


def make_parser() -> OptionParser:
    """Options of this script."""
    return evaluation.add_options(options.eval_parser())


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Load, calibrate where needed, evaluate, report."""
    args = config.parse(make_parser(), argv)
    run, chosen = run_options(args), options.calibration_options(args)
    evaluation.run(
        run,
        shipped=storage.shipped,
        load=lambda path: storage.load(path, args.arch, args.num_classes),
        ready=lambda stored: prepare(stored, chosen, run.data),
        summarize=summarize,
        measure=lambda of: evaluation.measure_and_save(of, args.save_checkpoint, save),
    )


if __name__ == "__main__":
    main()
