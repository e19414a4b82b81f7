"""Evaluate an AdderNet in float or at 2 to 8 bits: calibrate it first, or load what was calibrated before."""

from AdderQuant import options, storage
from AdderQuant.network import preprocessing_of
from AdderQuant.prepare import prepare
from AdderQuant.report import record_of
from common.cli import config
from common.cli.entry_point import entry_point
from common.cli.result import finish
from common.data import open_split
from common.evaluation import evaluate_images
from common.models.registry import model
from common.runtime import context

make_parser = options.eval_parser


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Load, calibrate where needed, evaluate, report."""
    args = config.parse(make_parser(), argv)
    context.setup(args.device_target, args.mode, args.seed, args.threads)
    path = args.checkpoint_path or storage.shipped(args.dataset)
    stored = storage.load(path, args.arch, args.num_classes)
    model(stored.metadata["network"], args.dataset)
    wanted = options.calibration_options(args)
    stored = prepare(stored, wanted, args.dataset, lambda: open_split(args, "train"))
    images = open_split(args, "test")
    record = record_of(stored)
    preprocessing, label = preprocessing_of(args.dataset, stored.metadata), f"{record['bits']} bits"
    metrics = evaluate_images(stored.network, images, preprocessing, args.batch_size, label)
    finish(args, metrics, path, {**record, "dataset": args.dataset})


if __name__ == "__main__":
    main()
