"""Export a float network, or one that train.py has quantized, to MINDIR; a float one also to ONNX."""

from common import config, context
from common.errors import entry_point
from common.export import script
from DAMBQ import eval as evaluation
from DAMBQ import storage
from DAMBQ.network import ARCHITECTURES

_NO_ONNX = "every channel has bits of its own, and the levels of weights are no whole numbers times a scale"


def make_parser() -> config.OptionParser:
    """Options of this script."""
    return script.add_options(evaluation.make_parser(), storage.METHOD)


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Load, export, check."""
    args = config.parse(make_parser(), argv)
    context.setup(args.device_target, args.mode, args.seed, args.threads)
    path = args.checkpoint_path or storage.embedded(args.dataset)

    def read() -> storage.StoredNetwork:
        return storage.load(path, ARCHITECTURES[args.arch], args.num_classes)

    script.run(args, path, read, lambda stored: None if stored.kind == "float" else _NO_ONNX)


if __name__ == "__main__":
    main()
