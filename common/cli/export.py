"""The sequence that every ``export.py`` shares: options, the file, its check, what is printed."""

import importlib.util
from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from mindspore import nn

from common import report
from common.checkpoint import network_state
from common.cli.classes import fit, open_images
from common.cli.option_parser import OptionParser
from common.cli.preprocessing import with_preprocessing
from common.cli.run_options import RunOptions, run_options
from common.cli.typed import path as path_type
from common.data import ImageSource, Preprocessing
from common.errors import ConfigError, ExportError
from common.export import lowbit, mindir
from common.export import parity as parity_of
from common.export.read_by import read_by
from common.files.atomic_file import write_atomically
from common.kernels.custom import without_native
from common.models.registry import model, preprocessing_of
from common.stored.network import StoredNetwork as Stored

if TYPE_CHECKING:
    from common.export.onnx_graph import IntegerLayer

FORMATS = ("mindir", "onnx", "lowbit")
EXACT, FAST = FORMS = ("exact", "fast")


@dataclass(frozen=True)
class ExportOptions:
    """Options of an export.

    Attributes:
        run: options that all scripts share.
        format: format of the file, one of ``FORMATS``.
        output: file to write; None: ``output_dir/NAME.FORMAT``, NAME that of the checkpoint.
        form: of an ONNX file, one of ``FORMS``.
    """

    run: RunOptions
    format: str
    output: Path | None
    form: str = EXACT


def add_options(parser: OptionParser, method: str) -> OptionParser:
    """Add the options of ``export.py`` to those of ``eval.py``; returns the parser."""
    parser.description = f"Export a network of {method} and check the file on test images."
    group = parser.add_argument_group("export")
    group.add_argument("--format", choices=FORMATS, default="mindir", help="format of the file")
    form = "of an ONNX file: exact, the network's own arithmetic; or fast, 8-bit grids that runtimes have kernels for"
    group.add_argument("--form", choices=FORMS, default=EXACT, help=form)
    group.add_argument(
        "--output", type=path_type, metavar="FILE", help="file to write; default: OUTPUT_DIR/NAME.FORMAT"
    )
    return parser


def export_options(args: Namespace) -> ExportOptions:
    """The options that :func:`common.cli.config.parse` resolved."""
    return ExportOptions(run_options(args), args.format, args.output, args.form)


def output_file(options: ExportOptions, checkpoint: Path, no_onnx: str | None = None) -> Path:
    """Path of the file to write; makes sure, before anything slow, that it can be made there.

    Args:
        options: options of the export.
        checkpoint: checkpoint whose name the file gets if ``--output`` is not given.
        no_onnx: reason why the network has no ONNX file of the form; None if it has one.

    Raises:
        ExportError: ONNX is asked for and there is no such file.
        ConfigError: the packages for ONNX are missing, or the file cannot be where it should.
    """
    if options.format == "onnx":
        _check_onnx(options.form, no_onnx)
    elif options.form == FAST:
        raise ConfigError(f"form: fast is one of ONNX files, found --format {options.format}; add --format onnx")
    if options.output is None:
        return options.run.output_dir / f"{checkpoint.stem}.{options.format}"
    if not options.output.parent.is_dir():
        folder = options.output.parent
        raise ConfigError(f"output: expected a file in a folder that exists, found no {folder}; make it")
    if options.output.suffix != f".{options.format}" or options.output.is_dir():
        ending = f"expected the name of a file that ends in .{options.format}"
        raise ConfigError(f"output: {ending}, found {options.output}")
    return options.output


def _check_onnx(form: str, no_onnx: str | None) -> None:
    if no_onnx:
        raise ExportError(f"{refusal(form, no_onnx)}; take --format mindir")
    if missing := [name for name in ("onnx", "onnxruntime") if importlib.util.find_spec(name) is None]:
        raise ConfigError(
            f"format: onnx needs the packages onnx and onnxruntime, found no {' and no '.join(missing)}; "
            "install them with pip install -e '.[onnx]' in the folder of this project"
        )


def refusal(form: str, reason: str) -> str:
    """Why a network has no ONNX file of a form, in the words of an error."""
    return f"{'cannot be expressed exactly' if form == EXACT else 'has no fast form'} in ONNX: {reason}"


def export(
    options: ExportOptions,
    output: Path,
    stored: Stored,
    again: Callable[[], Stored],
    preprocessing: Preprocessing,
    integers: Mapping[str, "IntegerLayer"],
) -> None:
    """Make the file, run it on the test images beside the network, and keep it if the logits agree.

    Args:
        options: options of the export.
        output: file from :func:`output_file`.
        stored: the network as it is evaluated.
        again: makes one of the same parameters; called where cells take MindSpore's own operators, for files hold no
            others.
        preprocessing: preprocessing of the images.
        integers: integers of the quantized layers by name, for ONNX.

    Raises:
        ExportError: the logits do not agree, or the network has no ONNX form.
        ConfigError: the file cannot be written.
    """
    images, size = fit(open_images(options.run.data, "test"), stored.metadata), options.run.batch_size
    if options.format == "lowbit":
        file = lowbit.encode_network(stored, images, preprocessing, size)
        content, compute = file.content, file.compute
    elif options.form == FAST:
        content, compute = _made_fast(options, stored, images, preprocessing)
    else:
        with without_native():
            portable = again().network
        network_state.restore(portable, network_state.state(stored.network))
        content, compute = _made(options, portable, stored.metadata, preprocessing, integers)
    tolerance = parity_of.FAST if options.form == FAST else parity_of.EXACT
    parity = parity_of.compare(stored.network, compute, images, preprocessing, size, tolerance)
    print(parity)
    parity.check()
    _write(output, content)
    reader = read_by(options.format, content)
    if options.run.json:
        record = {"network": stored.metadata["network"], "format": options.format, "file": output}
        record |= {"form": options.form, "read_by": reader}
        record |= {"bytes": len(content), **parity.record(), "versions": report.versions()}
        report.write_json(options.run.json, {**record, "config": options.run.values})
    batch = f"batches of {size} images" if options.format == "mindir" else "any number of images"
    print(f"written: {output}, {len(content):,} bytes, for {batch}; {reader}")


def run(
    options: ExportOptions,
    *,
    shipped: Callable[[str], Path],
    load: Callable[[Path], Stored],
    integers: Callable[[Stored], Mapping[str, "IntegerLayer"]],
    ready: Callable[[Stored], Stored] = lambda stored: stored,
    again: Callable[[Stored], Stored] | None = None,
    check: Callable[[str, str], object] = model,
    no_onnx: Callable[[Stored, str], str | None] = lambda stored, form: None,
) -> None:
    """Read a network, make sure that it can be exported, and :func:`export` it.

    Args:
        options: options from :func:`export_options`.
        shipped: file of the network that ships for a data set, taken where no file is given.
        load: the network of a file; the device is set up when it is called.
        integers: integers of a network's quantized layers by name, for ONNX.
        ready: turns what the file holds into the network to export, where that takes long.
        again: builds a network like the one it is given, to be filled; None: the file is read again.
        check: refuses a network's name that does not take a data set's images, with a ConfigError.
        no_onnx: reason why a network has no ONNX file of a form, see :func:`output_file`.

    Raises:
        ConfigError: the network does not fit the data set, and as :func:`output_file` and :func:`export`.
        ExportError: as :func:`output_file` and :func:`export`.
    """
    options.run.device.set_up()
    dataset = options.run.data.dataset
    path = options.run.checkpoint_path or shipped(dataset)
    stored = load(path)
    check(stored.metadata["network"], dataset)
    output = output_file(options, path, no_onnx(stored, options.form))
    stored = ready(with_preprocessing(options.run, stored, path))

    def portable() -> Stored:
        return again(stored) if again else load(path)

    found = integers(stored) if (options.format, options.form) == ("onnx", EXACT) else {}
    export(options, output, stored, portable, preprocessing_of(dataset, stored.metadata), found)


def _made(
    options: ExportOptions,
    network: nn.Cell,
    metadata: Mapping[str, Any],
    preprocessing: Preprocessing,
    integers: Mapping[str, "IntegerLayer"],
) -> tuple[bytes, Callable[[np.ndarray], np.ndarray]]:
    """The content of the file, and what it computes."""
    size = preprocessing.image_size
    if options.format == "mindir":
        content = mindir.encode(network, (options.run.batch_size, 3, size, size))
        return content, mindir.decode(content)
    from common.export import onnx_model  # needs packages that are not always there

    about = onnx_model.about_of(metadata, preprocessing)
    content = onnx_model.encode(network, size, metadata["num_classes"], about, integers)
    return content, onnx_model.decode(content, options.run.device.threads)


def _made_fast(
    options: ExportOptions, stored: Stored, images: ImageSource, preprocessing: Preprocessing
) -> tuple[bytes, Callable[[np.ndarray], np.ndarray]]:
    """The same of the fast form; says what it is."""
    from common.export import onnx_fast, onnx_model

    file = onnx_fast.encode(stored, onnx_fast.calibration(images, preprocessing), preprocessing)
    print(file.note)
    return file.content, onnx_model.decode(file.content, options.run.device.threads)


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)
    except OSError as error:
        raise ConfigError(f"output: cannot write {path}: {error.strerror}; check folder, rights and space") from None
