"""What the methods' ``export.py`` share: options, the file, its check, what is printed."""

import importlib.util
import json
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from mindspore import nn

from common import report
from common.checkpoint import network_state
from common.cli import config
from common.data import Preprocessing, open_split
from common.errors import ConfigError, ExportError
from common.export import mindir
from common.export.parity import compare
from common.files.atomic_file import write_atomically
from common.kernels.custom import without_native
from common.models.registry import model, preprocessing_of
from common.runtime import context

if TYPE_CHECKING:
    from common.export.onnx_graph import IntegerLayer

FORMATS = ("mindir", "onnx")


class Stored(Protocol):
    """A network from a file, and what that records: ``network``, ``num_classes`` and more."""

    network: nn.Cell
    metadata: Mapping[str, Any]


def add_options(parser: config.OptionParser, method: str) -> config.OptionParser:
    """The options of ``export.py``, to those of ``eval.py``; returns the parser."""
    parser.description = f"Export a network of {method} and check the file on test images."
    group = parser.add_argument_group("export")
    group.add_argument("--format", choices=FORMATS, default="mindir", help="of the file")
    group.add_argument("--output", type=config.path, metavar="FILE", help="output_dir/NAME.FORMAT if not given")
    return parser


def prepare(args: Namespace, path: str | Path, no_onnx: str | None = None) -> None:
    """Make sure, before anything slow, that the file can be made; settles ``args.output``.

    Args:
        args: the resolved configuration.
        path: of the checkpoint, which names the file if nothing else does.
        no_onnx: why the method's networks have no ONNX form; None if they have one.

    Raises:
        ExportError: ONNX is asked for and there is no ONNX form.
        ConfigError: the packages for ONNX are missing, or the file cannot be where it should.
    """
    if args.format == "onnx":
        if no_onnx:
            raise ExportError(f"cannot be expressed exactly in ONNX: {no_onnx}; take --format mindir")
        if missing := [name for name in ("onnx", "onnxruntime") if importlib.util.find_spec(name) is None]:
            raise ConfigError(
                f"format: onnx needs the packages onnx and onnxruntime, found no {' and no '.join(missing)}; "
                "install them with pip install -e '.[onnx]' in the folder of this project"
            )
    if args.output is None:
        args.output = args.output_dir / f"{Path(path).stem}.{args.format}"
    elif not args.output.parent.is_dir():
        raise ConfigError(f"output: expected a file in a folder that exists, found no {args.output.parent}; make it")
    if args.output.suffix != f".{args.format}" or args.output.is_dir():
        raise ConfigError(f"output: expected the name of a file that ends in .{args.format}, found {args.output}")


def export(
    args: Namespace,
    stored: Stored,
    again: Callable[[], Stored],
    preprocessing: Preprocessing,
    integers: Mapping[str, "IntegerLayer"] | None = None,
) -> None:
    """Make the file, run it on the test images beside the network, and keep it if the logits agree.

    Args:
        args: the resolved configuration, settled by :func:`prepare`.
        stored: the network as it is evaluated.
        again: makes one of the same parameters; called where cells take MindSpore's own operators, for files hold no
            others.
        preprocessing: of the images.
        integers: for ONNX, layers by name whose weights are whole numbers times a scale and whose cells do not say so.

    Raises:
        ExportError: the logits do not agree, or the network has no ONNX form.
        ConfigError: the file cannot be written.
    """
    images = open_split(args, "test")
    with without_native():
        portable = again().network
    network_state.restore(portable, network_state.state(stored.network))
    content, run = _made(args, portable, stored.metadata, preprocessing, integers)
    parity = compare(stored.network, run, images, preprocessing, args.batch_size)
    print(parity)
    parity.check()
    _write(args.output, content)
    if args.json:
        found = {"network": stored.metadata["network"], "format": args.format, "file": args.output}
        found |= {"bytes": len(content), **parity.record(), "versions": report.versions()}
        report.write_json(args.json, {**found, "config": config.as_dict(args)})
    batch = f"batches of {args.batch_size} images" if args.format == "mindir" else "any number of images"
    print(f"written: {args.output}, {len(content):,} bytes, for {batch}")


def setup(parser: config.OptionParser, argv: Sequence[str] | None, embedded: Callable[[str], Path]) -> Namespace:
    """The resolved configuration, with the shipped checkpoint of the data set if none is named; sets the device up."""
    args = config.parse(parser, argv)
    context.setup(args.device_target, args.mode, args.seed, args.threads)
    args.checkpoint_path = args.checkpoint_path or embedded(args.dataset)
    return args


def run(
    args: Namespace,
    load: Callable[[Namespace], Stored],
    no_onnx: Callable[[Stored], str | None] = lambda stored: None,
    integers: Callable[[Stored], Mapping[str, "IntegerLayer"] | None] = lambda stored: None,
) -> None:
    """Read a network of the registry, make sure that it can be exported, and :func:`export` it.

    Args:
        args: of :func:`setup`.
        load: reads the network of ``checkpoint_path``, anew at each call.
        no_onnx: of the network, see :func:`prepare`.
        integers: of the network, see :func:`export`.

    Raises:
        ConfigError: the network does not fit the data set, and as :func:`prepare` and :func:`export`.
        ExportError: as these.
    """
    stored = load(args)
    model(stored.metadata["network"], args.dataset)
    prepare(args, args.checkpoint_path, no_onnx(stored))
    export(args, stored, lambda: load(args), preprocessing_of(args.dataset, stored.metadata), integers(stored))


def _made(
    args: Namespace,
    network: nn.Cell,
    metadata: Mapping[str, Any],
    preprocessing: Preprocessing,
    integers: Mapping[str, "IntegerLayer"] | None,
) -> tuple[bytes, Callable[[np.ndarray], np.ndarray]]:
    """The content of the file, and what it computes."""
    size = preprocessing.image_size
    if args.format == "mindir":
        content = mindir.encode(network, (args.batch_size, 3, size, size))
        return content, mindir.decode(content)
    from common.export import onnx_model  # needs packages that are not always there

    about = {"network": str(metadata["network"]), "preprocessing": json.dumps(preprocessing.to_dict())}
    content = onnx_model.encode(network, size, metadata["num_classes"], about, integers)
    return content, onnx_model.decode(content, args.threads)


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)
    except OSError as error:
        raise ConfigError(f"output: cannot write {path}: {error.strerror}; check folder, rights and space") from None
