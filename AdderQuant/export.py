"""Export an AdderNet to MINDIR or the runtime's file; a float one is calibrated first, as eval.py does."""

from AdderQuant import options, storage
from AdderQuant.prepare import prepare, rebuilt, save
from common.cli import config, export
from common.cli.entry_point import entry_point
from common.cli.option_parser import OptionParser
from common.stored.network import StoredNetwork

_NO_ONNX = "ONNX has no operator that sums absolute differences over a window"


def no_onnx(_stored: StoredNetwork, _form: str) -> str | None:
    """Why a network has no ONNX file of either form; None if it has one."""
    return _NO_ONNX


def make_parser() -> OptionParser:
    """Options of this script."""
    return export.add_options(options.eval_parser(), storage.METHOD)


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Load, calibrate where needed, export, check."""
    args = config.parse(make_parser(), argv)
    wanted, chosen = export.export_options(args), options.calibration_options(args)

    def ready(stored: StoredNetwork) -> StoredNetwork:
        prepared = prepare(stored, chosen, wanted.run.data)
        if args.save_checkpoint:
            save(args.save_checkpoint, prepared)
        return prepared

    export.run(
        wanted,
        shipped=storage.shipped,
        load=lambda path: storage.load(path, args.arch, args.num_classes),
        integers=storage.FORMAT.integers,
        ready=ready,
        again=rebuilt,
        no_onnx=no_onnx,
    )


if __name__ == "__main__":
    main()
