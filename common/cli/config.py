"""Configuration: the method's YAML file, then ``--config FILE``, then the command line; the later one wins.

One parser builder serves every entry script. A script adds its own options with ``parser.add_argument`` and reads
the result with :func:`parse`::

    parser = build_parser("Evaluate an adder network", Path(__file__).parent / "config" / "eval.yaml")
    parser.add_argument("--bits", type=int_range(2, 8, 32), default=8, help="bits of weights and activations")
    args = parse(parser)

Every key of a YAML file is an option of the script, and its value passes the option's own type and choices.
"""

import argparse
import copy
from collections.abc import Sequence
from pathlib import Path

from common.cli.checkpoint_names import resolved
from common.cli.option_parser import OptionParser
from common.cli.outputs import check_outputs
from common.cli.typed import checkpoint, int_range, path, positive_int
from common.cli.yaml_options import read_config


def build_parser(description: str, config_file: Path | None = None, evaluates: bool = True) -> OptionParser:
    """Make a parser with the options that mean the same in every entry script.

    Args:
        description: First line of ``--help``.
        config_file: The method's YAML file of defaults, if it has one.
        evaluates: Whether the script measures a network from a file: it has ``--checkpoint_path`` and ``--json``.
    """
    parser = OptionParser(description, config_file)
    parser.fills_output_dir = not evaluates
    group = parser.add_argument_group("configuration")
    group.add_argument("--config", type=path, metavar="FILE", help="YAML file; its keys are the options named here")
    group.add_argument("--seed", type=int_range(0, 2**32 - 1), default=1, help="seed of every random number")
    _add_data(parser.add_argument_group("data"))
    group = parser.add_argument_group("execution")
    if evaluates:
        names = "of a checkpoint; python -m lowbitzoo list"
        group.add_argument("--checkpoint_path", type=checkpoint, metavar="FILE|NAME", help=names)
    group.add_argument("--mirrors", nargs="*", metavar="URL|DIR", help="where registered checkpoints are fetched from")
    group.add_argument("--device_target", choices=["CPU", "GPU", "Ascend"], default="CPU", help="where to compute")
    group.add_argument("--device_id", type=int_range(0), metavar="N", help="number of the GPU or NPU")
    group.add_argument("--mode", choices=["graph", "pynative"], default="graph", help="execution mode of MindSpore")
    group.add_argument(
        "--threads", type=positive_int, metavar="N", help="of all that computes; else as many as the system allows"
    )
    group = parser.add_argument_group("output")
    group.add_argument("--output_dir", type=path, default=Path("outputs"), metavar="DIR", help="where files are put")
    if evaluates:
        group.add_argument("--json", type=path, metavar="FILE", help="write the result as one JSON object")
    return parser


def _add_data(group: argparse._ArgumentGroup) -> None:
    kinds = ["digits", "cifar10", "cifar100", "imagenet"]
    which = "kind of images; cifar10 if a folder is given, else digits"
    group.add_argument("--dataset", choices=kinds, help=which)
    group.add_argument("--dataset_path", type=path, metavar="DIR", help="folder of the data set, both parts")
    group.add_argument("--train_dataset_path", type=path, metavar="DIR", help="folder of the training images alone")
    group.add_argument("--eval_dataset_path", type=path, metavar="DIR", help="folder of the test images alone")
    group.add_argument("--batch_size", type=positive_int, default=128, help="images per step")
    listed = "class folders in label order, one a line, and the name of the class after it if it has another"
    group.add_argument("--classes", "--wnids", type=path, metavar="FILE", help=listed)
    spread = "evaluate only N images, spread over the classes, the same for all seeds"
    group.add_argument("--num_samples", type=positive_int, metavar="N", help=spread)
    few = "use N training images alone, the same for all seeds"
    group.add_argument("--train_samples", type=positive_int, metavar="N", help=few)


def parse(
    parser: OptionParser, argv: Sequence[str] | None = None, config_file: Path | None = None
) -> argparse.Namespace:
    """Resolve the configuration: option defaults < the method's YAML < ``--config`` < command line.

    ``parser`` itself stays as it is. Option lists (``nargs``) and flags (``BooleanOptionalAction``) can stand in
    YAML as lists and as true or false; ``null`` stands for "not given". A registered name of a checkpoint becomes the
    path of its file, which is fetched if need be.

    Args:
        parser: From :func:`build_parser`, with the script's own options added.
        argv: The words of the command line; those of this process for ``None``.
        config_file: The method's YAML file, if not the one given to :func:`build_parser`.

    Raises:
        ConfigError: On an unknown option or key, a value that its option does not take, a damaged or missing file, an
            output that cannot be written.
        CheckpointError: The file of a registered checkpoint is damaged or cannot be fetched, or a name that is not
            registered resembles one that is.
    """
    complete = copy.deepcopy(parser)  # so that --help shows the defaults that hold, and nothing stays behind
    for file in (config_file or parser.config_file, _config_option(argv)):
        values = {} if file is None else read_config(file, parser)
        complete.set_defaults(**values)
        for action in complete._actions:
            action.required = action.required and action.dest not in values
    args = complete.parse_args(argv)
    if args.dataset is None:
        folders = (args.dataset_path, args.train_dataset_path, args.eval_dataset_path)
        args.dataset = "cifar10" if any(folders) else "digits"
    check_outputs(args, folders=parser.fills_output_dir)
    for action in parser.settable().values():
        if action.type is checkpoint and getattr(args, action.dest) is not None:
            setattr(args, action.dest, resolved(getattr(args, action.dest), getattr(args, "mirrors", None)))
    return args


def _config_option(argv: Sequence[str] | None) -> Path | None:
    parser = OptionParser(add_help=False)
    parser.add_argument("--config", type=path)
    return parser.parse_known_args(argv)[0].config
