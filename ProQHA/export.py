"""Export a float network, or one whose bits were searched or set, to MINDIR or ONNX."""

from common import config, context
from common.errors import entry_point
from common.export import script
from ProQHA import eval as evaluation
from ProQHA import storage
from ProQHA.dataset import chosen_model


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
        return storage.load(path, chosen_model(args), args.num_classes)

    script.run(args, path, read)


if __name__ == "__main__":
    main()
