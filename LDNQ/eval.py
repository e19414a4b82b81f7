"""Evaluate a float network or one that main.py has quantized."""

from common.cli import config, evaluation
from common.cli.entry_point import entry_point
from common.cli.option_parser import OptionParser
from common.cli.run_options import run_options
from LDNQ import activation_options, options, storage
from LDNQ.prepare import prepare
from LDNQ.report import summarize


def make_parser() -> OptionParser:
    """Options of this script."""
    return evaluation.add_options(activation_options.add_activations(options.eval_parser()))


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Load, evaluate, report."""
    args = config.parse(make_parser(), argv)
    run, activations = run_options(args), activation_options.activation_options(args)
    evaluation.run(
        run,
        shipped=storage.shipped,
        load=lambda path: storage.load(path, args.arch, args.num_classes),
        ready=lambda stored: prepare(stored, activations, run.data),
        summarize=summarize,
        measure=lambda of: evaluation.measure_and_save(of, args.save_checkpoint, storage.save_packed),
    )


if __name__ == "__main__":
    main()
