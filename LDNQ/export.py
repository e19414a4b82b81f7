"""Export a float network, or one that main.py has quantized, to MINDIR or ONNX."""

from common import config, context
from common.errors import entry_point
from common.export import script
from LDNQ import eval as evaluation
from LDNQ import storage


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
        return storage.load(path, args.model_name, args.num_classes)

    script.run(args, path, read, integers=lambda stored: stored.layers)


if __name__ == "__main__":
    main()
