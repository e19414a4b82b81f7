"""Networks as files in formats of others, from Python."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from common.errors import ConfigError, ExportError
from common.files.atomic_file import write_atomically
from common.runtime.installed import require_mindspore
from lowbitzoo.methods import part

if TYPE_CHECKING:
    from mindspore import nn

    from common.data import Preprocessing
    from common.export.parity import Parity
    from common.stored.network import StoredNetwork

FORMATS = ("mindir", "onnx", "lowbit")
_NOISE = 8  # images that a file is compared on where none are given


def export(
    stored: "StoredNetwork",
    file: str | Path,
    *,
    network: "nn.Cell | None" = None,
    batch_size: int = 1,
    images: "np.ndarray | None" = None,
    form: str = "exact",
) -> "Parity":
    """Write a network as a MINDIR, an ONNX or a runtime file, by the file's suffix, if it computes the same.

        lowbitzoo.export(stored, "mine.mindir", network=MyNetwork(), batch_size=1)

    Args:
        stored: from :func:`lowbitzoo.load` or :func:`lowbitzoo.quantize`.
        file: path that ends in .mindir, .onnx or .lowbit; the latter is of packed networks, see
            :mod:`lowbitzoo.runtime`.
        network: float network of the kind that was quantized, where it is none of :func:`lowbitzoo.list_models`; it is
            changed and used. Runtime files need none.
        batch_size: images that a MINDIR file takes at a time; ONNX files take any number.
        images: (N, 3, S, S) float32 as the network sees them, to compare on; None: noise. The fast form needs some: it
            takes the ranges of sums from them.
        form: of an ONNX file: ``exact``, the network's own arithmetic, or ``fast``, 8-bit grids that runtimes have
            kernels for.

    Returns:
        The logits of the file against those of the network.

    Raises:
        ConfigError: another suffix or form, no images for the fast one, packages for ONNX that are missing, or a file
            that cannot be written.
        ExportError: the file computes something else, or the network cannot be said in the format.
    """
    require_mindspore("export")
    from common.data import Preprocessing
    from common.export.parity import EXACT, FAST, compare_arrays
    from common.runtime import context

    path, suffix = Path(file), Path(file).suffix.removeprefix(".")
    if suffix not in FORMATS:
        raise ConfigError(f"file: expected a name that ends in .mindir, .onnx or .lowbit, found {path.name}")
    _check_form(form, suffix, images)
    context.prepare_onednn()
    recorded = stored.metadata.get("preprocessing")
    size = _side(stored, images) if recorded is None else Preprocessing.from_dict(recorded).image_size
    shape = (max(batch_size, _NOISE // batch_size * batch_size), 3, size, size)
    given = np.random.default_rng(0).normal(0, 1, shape).astype(np.float32) if images is None else images
    if suffix == "lowbit":
        from common.export import lowbit

        written = lowbit.encode_unmeasured(stored, _preprocessing(stored, size))
        content, compute = written.content, written.compute
    else:
        content, compute = _made(suffix, stored, lambda: _portable(stored, network), size, batch_size, given, form)
    with context.execution_mode("graph"):
        parity = compare_arrays(stored.network, compute, given, batch_size, FAST if form == "fast" else EXACT)
    parity.check()
    try:
        write_atomically(path, content)
    except OSError as error:
        raise ConfigError(f"file: cannot write {path}: {error.strerror}; check folder, rights and space") from None
    return parity


def _side(stored: "StoredNetwork", images: "np.ndarray | None") -> int:
    side = stored.metadata.get("settings", {}).get("image_size") if images is None else images.shape[-1]
    if side is None:
        raise ConfigError("images: expected some, for the file records no preprocessing that says their size")
    return side


def _portable(stored: "StoredNetwork", network: "nn.Cell | None") -> "nn.Cell":
    """The same network of MindSpore's own operators: files hold no others."""
    from common.checkpoint import network_state
    from common.kernels.custom import without_native
    from common.models.registry import MODELS, model

    metadata: dict[str, Any] = stored.metadata
    with without_native():
        if network is None:
            if metadata["network"] not in MODELS:
                raise ConfigError(f"network: expected a float {metadata['network']}, found none; give network=")
            network = model(metadata["network"]).build(metadata["num_classes"])
        if stored.kind != "float":
            form = part(metadata["method"], "storage").FORMAT
            network = form.quantize(network, metadata["settings"], stored.kind == "packed") or network
    network_state.restore(network, network_state.state(stored.network))
    return network.set_train(False)


def _preprocessing(stored: "StoredNetwork", size: int) -> "Preprocessing":
    from common.data import Preprocessing

    return Preprocessing.from_dict(stored.metadata.get("preprocessing") or {"image_size": size})


def _check_form(form: str, suffix: str, images: "np.ndarray | None") -> None:
    if form not in ("exact", "fast"):
        raise ConfigError(f"form: expected exact or fast, found {form!r}")
    if form == "fast" and suffix != "onnx":
        raise ConfigError(f"form: fast is one of ONNX files, found a name that ends in .{suffix}; let it end in .onnx")
    if form == "fast" and images is None:
        raise ConfigError("images: expected some for the fast form, which takes the ranges of sums from them")


def _made(
    suffix: str,
    stored: "StoredNetwork",
    portable: "Callable[[], nn.Cell]",
    size: int,
    batch_size: int,
    images: np.ndarray,
    form: str,
) -> tuple[bytes, Any]:
    if suffix == "mindir":
        from common.export import mindir

        content = mindir.encode(portable(), (batch_size, 3, size, size))
        return content, mindir.decode(content)
    from importlib.util import find_spec

    if missing := [name for name in ("onnx", "onnxruntime") if find_spec(name) is None]:
        raise ConfigError(f"file: ONNX needs the packages onnx and onnxruntime, found no {' and no '.join(missing)}")
    from common.cli.export import refusal
    from common.export import onnx_fast, onnx_model

    metadata = stored.metadata
    reason = getattr(part(metadata["method"], "export"), "no_onnx", lambda stored, form: None)(stored, form)
    if reason:
        raise ExportError(f"{refusal(form, reason)}; take .mindir")
    if form == "fast":
        content = onnx_fast.encode(stored, images, _preprocessing(stored, size)).content
        return content, onnx_model.decode(content)
    about = {"network": str(metadata["network"]), "preprocessing": json.dumps(metadata.get("preprocessing", {}))}
    layers = part(metadata["method"], "storage").FORMAT.integers(stored) if stored.kind != "float" else {}
    content = onnx_model.encode(portable(), size, metadata["num_classes"], about, layers)
    return content, onnx_model.decode(content)
