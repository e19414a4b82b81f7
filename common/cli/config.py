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
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from common import zoo
from common.cli.options import (
    OptionParser,
    checkpoint,
    fraction,
    int_range,
    nonnegative_float,
    path,
    positive_float,
    positive_float_or,
    positive_int,
    run_name,
    share,
    shown,
    truth,
)
from common.errors import ConfigError
from common.files.atomic_file import write_text

__all__ = [
    "OptionParser",
    "as_dict",
    "build_parser",
    "checkpoint",
    "fraction",
    "int_range",
    "nonnegative_float",
    "parse",
    "path",
    "positive_float",
    "positive_float_or",
    "positive_int",
    "read_config",
    "run_name",
    "save",
    "share",
    "truth",
]

_SCALARS = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "timestamp", "value")}
_BOOL, _NULL = "tag:yaml.org,2002:bool", "tag:yaml.org,2002:null"


def build_parser(description: str, config_file: Path | None = None, evaluates: bool = True) -> OptionParser:
    """Make a parser with the options that mean the same in every entry script.

    Args:
        description: First line of ``--help``.
        config_file: The method's YAML file of defaults, if it has one.
        evaluates: Whether the script measures a network from a file: it has ``--checkpoint_path`` and ``--json``.
    """
    parser = OptionParser(description, config_file)
    group = parser.add_argument_group("configuration")
    group.add_argument("--config", type=path, metavar="FILE", help="YAML file; its keys are the options named here")
    group.add_argument("--seed", type=int_range(0, 2**32 - 1), default=1, help="seed of every random number")
    group = parser.add_argument_group("data")
    group.add_argument(
        "--dataset",
        choices=["digits", "cifar10", "imagenet"],
        help="kind of images; cifar10 if a folder is given, else digits",
    )
    group.add_argument("--dataset_path", type=path, metavar="DIR", help="folder of the data set, both parts")
    group.add_argument("--train_dataset_path", type=path, metavar="DIR", help="folder of the training images alone")
    group.add_argument("--eval_dataset_path", type=path, metavar="DIR", help="folder of the test images alone")
    group.add_argument("--batch_size", type=positive_int, default=128, help="images per step")
    group.add_argument("--num_samples", type=positive_int, metavar="N", help="evaluate only the first N images")
    group.add_argument(
        "--train_samples", type=positive_int, metavar="N", help="use N training images alone, the same for all seeds"
    )
    group = parser.add_argument_group("execution")
    if evaluates:
        names = "of a checkpoint; python -m lowbitzoo list"
        group.add_argument("--checkpoint_path", type=checkpoint, metavar="FILE|NAME", help=names)
    group.add_argument("--mirrors", nargs="*", metavar="URL|DIR", help="where registered checkpoints are fetched from")
    group.add_argument("--device_target", choices=["CPU", "GPU", "Ascend"], default="CPU", help="where to compute")
    group.add_argument("--mode", choices=["graph", "pynative"], default="graph", help="execution mode of MindSpore")
    group.add_argument("--threads", type=positive_int, metavar="N", help="of the C++ operators; else all cores")
    group = parser.add_argument_group("output")
    group.add_argument("--output_dir", type=path, default=Path("outputs"), metavar="DIR", help="where files are put")
    if evaluates:
        group.add_argument("--json", type=path, metavar="FILE", help="write the result as one JSON object")
    return parser


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
        ConfigError: On an unknown option or key, a value that its option does not take, a damaged or missing file.
        CheckpointError: The file of a registered checkpoint is damaged or cannot be fetched.
    """
    resolved = copy.deepcopy(parser)  # so that --help shows the defaults that hold, and nothing stays behind
    for file in (config_file or parser.config_file, _config_option(argv)):
        values = {} if file is None else read_config(file, parser)
        resolved.set_defaults(**values)
        for action in resolved._actions:
            action.required = action.required and action.dest not in values
    args = resolved.parse_args(argv)
    if args.dataset is None:
        folders = (args.dataset_path, args.train_dataset_path, args.eval_dataset_path)
        args.dataset = "cifar10" if any(folders) else "digits"
    for action in parser.settable().values():
        if action.type is checkpoint and getattr(args, action.dest) is not None:
            setattr(args, action.dest, zoo.named(getattr(args, action.dest), getattr(args, "mirrors", None)))
    return args


def _config_option(argv: Sequence[str] | None) -> Path | None:
    parser = OptionParser(add_help=False)
    parser.add_argument("--config", type=path)
    return parser.parse_known_args(argv)[0].config


def read_config(file: Path, parser: OptionParser) -> dict[str, Any]:
    """Read a YAML file of options; the values are those that the command line would give.

    Raises:
        ConfigError: On a missing or damaged file, an unknown key, one given twice, a value that does not fit.
    """
    options, values = parser.settable(), {}
    for key, node in _entries(file):
        where = f"{file}, line {key.start_mark.line + 1}"
        name = shown(key.value) if isinstance(key, yaml.ScalarNode) else "that is no text"
        action = options.get(name.replace("-", "_"))
        if action is None:
            raise ConfigError(f"{where}: unknown key {name}{parser.near(name)} (--help lists the options)")
        if action.dest in values:
            raise ConfigError(f"{where}: {name} is given twice; keep one of them")
        try:
            values[action.dest] = _value(parser, action, node)
        except ConfigError as error:
            raise ConfigError(f"{where}: {name}: {error}") from None
    return values


def _entries(file: Path) -> list[tuple[yaml.Node, yaml.Node]]:
    try:
        # Nodes, not values: the text of 1e-4 or 010 reaches the option's type as it was typed, keys given twice show.
        root = yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except OSError as error:
        raise ConfigError(f"cannot read the configuration {file}: {error.strerror}") from None
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(f"{file}{line}: expected YAML, found an error: {error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        raise ConfigError(f"{file}: expected YAML, found an error: {shown(str(error))}") from None
    if not isinstance(root, yaml.MappingNode):
        found = "nothing" if root is None else "a list" if isinstance(root, yaml.SequenceNode) else "a single value"
        raise ConfigError(f"{file}: expected lines of 'option: value', found {found}")
    return root.value


def _value(parser: OptionParser, action: argparse.Action, node: yaml.Node) -> Any:
    if node.tag == _NULL and action.default is None:
        return None
    if action.nargs == 0:
        return _flag(node)
    if action.nargs == "?" and action.const is True and node.tag == _BOOL:
        return _flag(node)
    if action.nargs in (None, "?"):
        return parser.convert(action, _text(node))
    items = node.value if isinstance(node, yaml.SequenceNode) else [node]
    if len(items) != action.nargs and action.nargs != "*" and not (action.nargs == "+" and items):
        count = "at least 1 value" if action.nargs == "+" else f"{action.nargs} values"
        raise ConfigError(f"expected a list of {count}, found {len(items)}")
    return [parser.convert(action, _text(item)) for item in items]


def _flag(node: yaml.Node) -> bool:
    if node.tag != _BOOL:
        raise ConfigError(f"expected true or false, found {_found(node)}")
    return node.value.lower() in ("true", "yes", "on")


def _text(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode) or node.tag not in _SCALARS:
        hint = "; a text is put in quotes" if node.tag in (_BOOL, _NULL) else ""
        raise ConfigError(f"expected one text or number, found {_found(node)}{hint}")
    return node.value


def _found(node: yaml.Node) -> str:
    if isinstance(node, yaml.ScalarNode):
        return "null" if node.tag == _NULL else shown(node.value)
    return "a list" if isinstance(node, yaml.SequenceNode) else "a mapping"


def as_dict(namespace: argparse.Namespace) -> dict[str, Any]:
    """The resolved configuration in sorted order, of nothing but text, numbers, true, false, null and lists."""
    return {key: _plain(value) for key, value in sorted(vars(namespace).items())}


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # YAML would write .inf, which float() does not read
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _dump(values: dict[str, Any]) -> str:
    # As the one item of a list each value stays on its line and is quoted wherever YAML would read it otherwise.
    text = {key: yaml.safe_dump([value], default_flow_style=True, width=math.inf) for key, value in values.items()}
    return "".join(f"{key}: {item.strip()[1:-1]}\n" for key, item in text.items())


def save(namespace: argparse.Namespace, folder: Path) -> Path:
    """Write the resolved configuration to ``folder/config.yaml``; ``--config`` with that file restores it.

    Raises:
        ConfigError: If the file cannot be written.
    """
    values = as_dict(namespace)
    values.pop("config", None)  # what that file said is among the values
    return write_text(Path(folder) / "config.yaml", _dump(values))
