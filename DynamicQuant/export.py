"""Export a dynamic, static or float network to MINDIR; a static or float one also to ONNX."""

from pathlib import Path

from common import config, context
from common.errors import entry_point
from common.export import script
from DynamicQuant import storage
from DynamicQuant.dataset import add_options, model_name
from DynamicQuant.network import DynamicNetwork

_NO_ONNX = "each image chooses the bits of each layer, and an ONNX graph computes the same for all images of a batch"


def make_parser() -> config.OptionParser:
    """Options of this script."""
    parser = config.build_parser("", Path(__file__).parent / "config" / "eval.yaml")
    add_options(parser)
    parser.add_argument("--num_classes", type=config.positive_int, help="the file's own if not given")
    return script.add_options(parser, storage.METHOD)


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Load, export, check."""
    args = config.parse(make_parser(), argv)
    context.setup(args.device_target, args.mode, args.seed, args.threads)
    path = args.checkpoint_path or storage.embedded(args.dataset)

    def read() -> storage.StoredNetwork:
        return storage.frozen(storage.load(path, model_name(args), args.num_classes))

    script.run(args, path, read, lambda stored: _NO_ONNX if isinstance(stored.network, DynamicNetwork) else None)


if __name__ == "__main__":
    main()
