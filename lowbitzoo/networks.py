"""Loading, evaluating, quantizing and saving networks of every method."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common import checkpoint, zoo
from common.errors import ConfigError
from common.runtime.installed import require_mindspore
from lowbitzoo.methods import method_of, part

if TYPE_CHECKING:
    from mindspore import nn

    from common.data import ImageSource, Preprocessing
    from common.evaluation import Metrics
    from common.stored.network import StoredNetwork


def load(
    name_or_file: str | Path, network: "nn.Cell | None" = None, architecture: str | None = None
) -> "StoredNetwork":
    """A network with the metadata of its file.

        stored = lowbitzoo.load("ldnq-resnet20-digits-ternary")
        stored = lowbitzoo.load("mine.ckpt", network=MyNetwork())
        logits = stored.network(images)  # (N, 3, H, W) to (N, K)

    Args:
        name_or_file: registered name (a file of that name wins), or path of a file.
        network: float network of the kind that was quantized, where it is none of :func:`lowbitzoo.list_models`; it
            is changed and used.
        architecture: name of the architecture of a published file, which does not record it; other files do.

    Raises:
        CheckpointError: the file is missing, damaged, or does not fit.
        ConfigError: MindSpore is not installed.
    """
    storage = part(method_of(name_or_file), "storage")
    entry = None if Path(name_or_file).exists() else zoo.entries().get(str(name_or_file))
    architecture = entry.network if entry else architecture  # published files do not record it
    return storage.FORMAT.load(zoo.named(Path(name_or_file)), architecture, network=network)


def evaluate(
    stored: "StoredNetwork | nn.Cell",
    dataset: str = "digits",
    path: str | Path | None = None,
    *,
    images: "ImageSource | None" = None,
    classes: str | Path | None = None,
    num_samples: int | None = None,
    batch_size: int = 128,
    preprocessing: "Preprocessing | None" = None,
) -> "Metrics":
    """Accuracy and loss of a network over test images, each counted once.

        lowbitzoo.evaluate(stored).accuracy
        lowbitzoo.evaluate(stored, "cifar10", "CIFAR10", num_samples=1000)

    The images' classes are compared with those that the network's file records; where they are some of these, or in
    another order, labels are matched by name and a line says so.

    Args:
        stored: from :func:`load`, or a network alone, of images (N, 3, H, W) to logits (N, K).
        dataset: name of the data set, ``digits``, ``cifar10``, ``cifar100`` or ``imagenet``; its preprocessing holds
            where the file records none.
        path: folder of the data set; ``digits`` is built in.
        images: images to evaluate on, in the place of the data set's test images.
        classes: file that lists the classes of class folders in label order.
        num_samples: number of images to evaluate on, spread over the classes; None: all.
        batch_size: images per step.
        preprocessing: of the images; None: what the file records, else what is usual for the network and ``dataset``;
            ``images`` beside a network that records none need it.

    Raises:
        ConfigError: an unknown data set, a path that is missing or not wanted, images of other classes than the
            network's or of unknown preprocessing, or MindSpore is not installed.
        DataError: the data set is missing or damaged.
        QuantizationError: the network does not fit the images.
    """
    require_mindspore("evaluate")
    from common.cli.classes import fit, open_images
    from common.data import DataSelection
    from common.evaluation import evaluate_images
    from common.models.registry import preprocessing_of
    from common.runtime import context

    context.prepare_onednn()
    network, metadata = getattr(stored, "network", stored), getattr(stored, "metadata", {})
    if images is None:
        folder, listed = (None if file is None else Path(file) for file in (path, classes))
        source = open_images(DataSelection(dataset, folder, classes=listed, num_samples=num_samples), "test")
    else:
        source = images.spread(num_samples) if num_samples else images
    source = fit(source, metadata) if "num_classes" in metadata else source
    if images is not None and preprocessing is None and "preprocessing" not in metadata:
        raise ConfigError(
            "preprocessing: expected that of the images beside a network that records none, found None; give "
            "preprocessing=, such as common.data.Preprocessing(32, mean, std) or common.data.DIGITS"
        )
    with context.execution_mode("graph"):
        return evaluate_images(network, source, preprocessing or preprocessing_of(dataset, metadata), batch_size)


def quantize(
    network: "StoredNetwork | nn.Cell",
    method: str,
    *,
    name: str | None = None,
    images: "ImageSource | None" = None,
    preprocessing: "Preprocessing | None" = None,
    image_size: int | None = None,
    class_names: "Sequence[str] | None" = None,
    seed: int = 0,
    folder: str | Path | None = None,
    **options: Any,
) -> "StoredNetwork":
    """A float network quantized by a method, to be trained (where the method trains), evaluated and saved.

        stored = lowbitzoo.quantize(MyNetwork(), "DAMBQ", bits=4)
        stored = lowbitzoo.quantize(MyNetwork(), "LDNQ", images=photos, preprocessing=mine, levels=3)
        lowbitzoo.save(stored, "mine.ckpt")

    One forward pass finds the order of the layers and those whose inputs may be negative; a layer that cannot be
    quantized is refused with its name and the reason.

    Args:
        network: float network from images (N, 3, H, W) to logits, of convolutions, or of adder layers for AdderQuant;
            it is changed and used.
        method: name of the method.
        name: name of the network in the file; one of :func:`lowbitzoo.list_models` is built when the file is loaded,
            any other must be given to :func:`load`. Default: the name in the metadata, or the name of the class.
        images: training images, :class:`common.data.ImageArrays` or :class:`common.data.ImageFolder`; LDNQ and
            AdderQuant need them, the others fit the ranges of activations to them.
        preprocessing: of the images, recorded in the file; None: that of the metadata, else none (pixels from 0 to 1).
        image_size: side in pixels of the images; None: that of ``preprocessing``.
        class_names: of the logits; None: those of the metadata or of the images.
        seed: of all draws.
        folder: where LDNQ's cascade goes on if it was killed.
        options: fields of the method's ``QuantConfig``, of LDNQ also of its ``Plan``.

    Returns:
        A :class:`common.stored.network.StoredNetwork`, ``latent`` or, of LDNQ and AdderQuant, ``packed``.

    Raises:
        ConfigError: an option, or a network that does not fit, or no images where they are needed.
        QuantizationError: a layer that the method cannot represent.
    """
    own = part(method, "own_network")
    from common.runtime import context
    from common.stored.network import StoredNetwork
    from common.stored.own_network import Request

    context.prepare_onednn()
    cell, metadata = getattr(network, "network", network), dict(getattr(network, "metadata", {}))
    form = _form(metadata, preprocessing, image_size)
    described = _described(cell, metadata, name, form.image_size)
    described |= {"preprocessing": form.to_dict()} if preprocessing or "preprocessing" in metadata else {}
    if names := class_names or metadata.get("class_names") or (images and images.class_names):
        described["class_names"] = _checked_names(list(names), described["num_classes"])
    request = Request(form.image_size, form, images, seed, Path(folder) if folder else None)
    made = own.quantize(cell, request, options)
    about = {"method": method, "kind": made.kind, "settings": made.settings}
    return StoredNetwork(made.network, metadata | described | about, made.layers)


def _form(metadata: dict[str, Any], preprocessing: "Preprocessing | None", image_size: int | None) -> "Preprocessing":
    from common.data import Preprocessing

    recorded = metadata.get("preprocessing")
    form = preprocessing or (Preprocessing.from_dict(recorded) if recorded else Preprocessing())
    if image_size is None or image_size == form.image_size:
        return form
    if preprocessing or recorded:
        raise ConfigError(f"image_size: expected that of preprocessing, {form.image_size}, found {image_size}")
    return replace(form, image_size=image_size)


def _described(cell: "nn.Cell", metadata: dict[str, Any], name: str | None, image_size: int) -> dict[str, Any]:
    """The network's name and number of classes, which one forward pass tells."""
    from common.quant.quantizable import logits_shape

    classes = metadata.get("num_classes") or logits_shape(cell, image_size)[1]
    return {"network": name or metadata.get("network", type(cell).__name__), "num_classes": classes}


def _checked_names(names: list[str], classes: int) -> list[str]:
    if len(names) != classes or len(set(names)) != classes:
        raise ConfigError(f"class_names: expected {classes} different names, found {len(set(names))} of {len(names)}")
    return names


def save(stored: "StoredNetwork", file: str | Path, *, packed: bool = True) -> Path:
    """Write a network to a file: a float one as it is, a quantized one with its codes at their real width.

    Args:
        stored: from :func:`load` or :func:`quantize`.
        file: path.
        packed: False keeps the latent weights of a network that is to be trained on: :func:`load` gives them back.

    Returns:
        The path.

    Raises:
        CheckpointError: the file cannot be written.
        ConfigError: latent weights are asked for of a packed network, which has none.
    """
    from common.checkpoint import network_state

    if not packed and stored.metadata["kind"] == "packed":
        raise ConfigError("packed: expected a network with latent weights to keep them, found a packed one")
    if stored.metadata["kind"] == "float" or not packed:
        checkpoint.save(file, network_state.state(stored.network), stored.metadata)
    else:
        part(stored.metadata["method"], "storage").FORMAT.save_packed(file, stored)
    return Path(file)
