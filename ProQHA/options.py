"""Options that training and search share, and what they mean."""

from argparse import Namespace

import mindspore as ms

from common.cli import config
from common.errors import ConfigError
from common.quant.dorefa import MAX_BITS, MIN_BITS
from common.runtime import context
from ProQHA.network import IMAGENET, SMALL_IMAGES, model_name

BITS = config.int_range(MIN_BITS, MAX_BITS)
_ALIASES = {"--data_dir": "--dataset_path", "--job_dir": "--output_dir"}


def add_options(parser: config.OptionParser) -> None:
    """The options that all scripts of this method share."""
    known = ", ".join(dict.fromkeys([*SMALL_IMAGES, *IMAGENET]))
    group = parser.add_argument_group("network and data of ProQHA")
    group.add_argument("--arch", default="resnet20", help=f"network: {known}; or resnet, vgg, densenet with num_layers")
    group.add_argument("--num_layers", type=config.positive_int, metavar="N", help="of --arch, where it is not named")
    group.add_argument("--wnids", type=config.path, metavar="FILE", help="imagenet: class folders in label order")
    for alias, option in _ALIASES.items():
        parser.add_alias(alias, option)


def chosen_model(args: Namespace) -> str:
    """The registry's name of the network; a network that only ImageNet has makes that the data set, if none was named.

    Raises:
        ConfigError: no such network for these images.
    """
    try:
        return model_name(args.arch, args.num_layers, args.dataset)
    except ConfigError:
        if args.dataset != "digits" or args.dataset_path:
            raise
        try:
            found = model_name(args.arch, args.num_layers, "imagenet")
        except ConfigError:
            pass
        else:
            args.dataset = "imagenet"
            return found
        raise


def add_common(parser: config.OptionParser) -> None:
    """The options of ``train.py`` and ``search.py`` alike."""
    parser.add_alias("--train_batch_size", "--batch_size")
    parser.add_argument(
        "--mission",
        type=config.run_name,
        default="proqha",
        metavar="NAME",
        help="name of the run's folder in output_dir",
    )
    parser.add_argument("--gpus", type=config.int_range(0), default=0, metavar="N", help="number of the GPU or NPU")
    group = parser.add_argument_group("training")
    group.add_argument("--lr", type=config.positive_float, default=1e-3, help="first learning rate")
    group.add_argument("--weight_decay", type=config.nonnegative_float, default=1e-4, help="L2 penalty")
    group.add_argument("--clip", action="store_true", help="limit the gradient's norm to 5")
    group = parser.add_argument_group("quantization")
    group.add_argument("--alpha", type=clip_value, default=None, metavar="A|calibrate", help=_ALPHA_HELP)


_ALPHA_HELP = "first clip of PACT: a number (the paper's is 10), or of least squared error on training images"


def clip_value(text: str) -> float | None:
    """Type of ``--alpha``: a number over 0, or None for ``calibrate``."""
    found = config.positive_float_or("calibrate")(text)
    return None if isinstance(found, str) else found


def set_up(args: Namespace) -> None:
    """Choose device, mode, seed and threads."""
    context.setup(args.device_target, args.mode, args.seed, args.threads)
    if args.device_target != "CPU":
        ms.set_device(args.device_target, args.gpus)


def clip_norm(args: Namespace) -> float | None:
    """Limit of the gradient's norm."""
    return 5.0 if args.clip else None
