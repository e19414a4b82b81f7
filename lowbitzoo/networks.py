"""Loading, evaluating, quantizing and saving networks of every method."""

from dataclasses import asdict, fields
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

# The methods that quantize without images.
_WITHOUT_IMAGES = ("DAMBQ", "DynamicQuant", "ProQHA")


def load(name_or_file: str | Path, network: "nn.Cell | None" = None) -> "StoredNetwork":
    """A network with the metadata of its file.

        stored = lowbitzoo.load("ldnq-resnet20-digits-ternary")
        stored = lowbitzoo.load("mine.ckpt", network=MyNetwork())
        logits = stored.network(images)  # (N, 3, H, W) to (N, K)

    Args:
        name_or_file: registered name (a file of that name wins), or path of a file.
        network: float network of the kind that was quantized, where it is none of :func:`lowbitzoo.list_models`; it
            is changed and used.

    Raises:
        CheckpointError: the file is missing, damaged, or does not fit.
        ConfigError: MindSpore is not installed.
    """
    storage = part(method_of(name_or_file), "storage")
    entry = None if Path(name_or_file).exists() else zoo.entries().get(str(name_or_file))
    published = {"architecture": entry.network} if entry else {}  # published files do not record it
    return storage.FORMAT.load(zoo.named(Path(name_or_file)), **published, network=network)


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
        preprocessing: of the images; None: what the file records, else what is usual for the network and ``dataset``.

    Raises:
        ConfigError: an unknown data set, a path that is missing or not wanted, images of other classes than the
            network's, or MindSpore is not installed.
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
    with context.execution_mode("graph"):
        return evaluate_images(network, source, preprocessing or preprocessing_of(dataset, metadata), batch_size)


def quantize(network: "StoredNetwork | nn.Cell", method: str, *, name: str | None = None, **options: Any):
    """A float network quantized by a method, to be trained, evaluated and saved.

        stored = lowbitzoo.quantize(MyNetwork(), "DAMBQ", bits=4)
        lowbitzoo.save(stored, "mine.ckpt")

    Args:
        network: float network from images (N, 3, H, W) to logits; it is changed and used.
        method: name of the method, ``DAMBQ``, ``DynamicQuant`` or ``ProQHA``. The others need images.
        name: name of the network in the file; one of :func:`lowbitzoo.list_models` is built when the file is loaded,
            any other must be given to :func:`load`. Default: the name in the metadata, or the name of the class.
        options: fields of the method's ``QuantConfig``.

    Returns:
        A :class:`common.stored.network.StoredNetwork`.

    Raises:
        ConfigError: a method that takes images, an option or a network that does not fit.
    """
    if method not in _WITHOUT_IMAGES:
        raise ConfigError(f"method: expected one of {', '.join(_WITHOUT_IMAGES)}, found {method!r}; see its README")
    converter, configuration = part(method, "convert"), part(method, "quant_config").QuantConfig
    from common.models.layers import weighted_layers
    from common.stored.network import StoredNetwork

    cell, metadata = getattr(network, "network", network), dict(getattr(network, "metadata", {}))
    *_, last = weighted_layers(cell).values()
    described = {"network": name or metadata.get("network", type(cell).__name__), "num_classes": last.weight.shape[0]}
    config = _configuration(configuration, options)
    result = converter.quantize_network(cell, config)
    # A method may complete its settings, or put another cell in the network's place.
    settings, quantized = (result, cell) if hasattr(result, "__dataclass_fields__") else (config, result or cell)
    return StoredNetwork(
        quantized, metadata | described | {"method": method, "kind": "latent", "settings": asdict(settings)}
    )


def _configuration(kind: type, options: dict[str, Any]) -> Any:
    try:
        return kind(**options)
    except TypeError as error:
        known = ", ".join(field.name for field in fields(kind))
        raise ConfigError(f"expected options of {known}, found others ({error})") from None


def save(stored: "StoredNetwork", file: str | Path) -> Path:
    """Write a network to a file: a float one as it is, a quantized one with its codes at their real width.

    Returns:
        The path.

    Raises:
        CheckpointError: the file cannot be written.
    """
    from common.checkpoint import network_state

    if stored.metadata["kind"] == "float":
        checkpoint.save(file, network_state.state(stored.network), stored.metadata)
    else:
        part(stored.metadata["method"], "storage").FORMAT.save_packed(file, stored)
    return Path(file)
