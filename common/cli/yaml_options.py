"""Reading a YAML file of options: the values are those that the command line would give."""

import argparse
from pathlib import Path
from typing import Any

import yaml

from common.cli.option_parser import OptionParser
from common.cli.typed import shown
from common.errors import ConfigError

_SCALARS = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "timestamp", "value")}
_BOOL, _NULL = "tag:yaml.org,2002:bool", "tag:yaml.org,2002:null"


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
        kind = "nothing" if root is None else "a list" if isinstance(root, yaml.SequenceNode) else "a single value"
        raise ConfigError(f"{file}: expected lines of 'option: value', found {kind}")
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
        raise ConfigError(f"expected true or false, found {_described(node)}")
    return node.value.lower() in ("true", "yes", "on")


def _text(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode) or node.tag not in _SCALARS:
        hint = "; a text is put in quotes" if node.tag in (_BOOL, _NULL) else ""
        raise ConfigError(f"expected one text or number, found {_described(node)}{hint}")
    return node.value


def _described(node: yaml.Node) -> str:
    if isinstance(node, yaml.ScalarNode):
        return "null" if node.tag == _NULL else shown(node.value)
    return "a list" if isinstance(node, yaml.SequenceNode) else "a mapping"
