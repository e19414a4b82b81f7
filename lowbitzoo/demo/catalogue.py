"""The networks that a page offers: registered ones whose files are here, and files that the user names."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from common import checkpoint, zoo
from common.data.class_names import known_names
from common.data.matching import Classes, recorded_classes
from common.errors import ConfigError
from common.zoo.store import path_of


@dataclass(frozen=True)
class Offer:
    """A network that can be chosen.

    Attributes:
        name: registered name or path.
        file: its checkpoint.
        network: name of its architecture.
        dataset: that it was trained on; empty if nothing says so.
        kind: ``float``, ``latent`` or ``packed``.
        classes: of its logits, None if nothing records them.
    """

    name: str
    file: Path
    network: str
    dataset: str
    kind: str
    classes: Classes | None


def offers(names: Sequence[str] = ()) -> dict[str, Offer]:
    """The networks by name, in the order of the registry or of the names.

    Args:
        names: registered names and files; none: all registered ones whose files are on this machine.

    Raises:
        CheckpointError: a file that is missing or damaged.
        ConfigError: no network is float, or none is quantized.
    """
    found = {name: _offer(name) for name in names or _present()}
    for kind, what in ((True, "a float"), (False, "a quantized")):
        if not any((offer.kind == "float") is kind for offer in found.values()):
            raise ConfigError(f"networks: expected {what} network too, found {', '.join(found)}")
    return found


def quantized(found: dict[str, Offer]) -> list[str]:
    """The names of the quantized ones."""
    return [name for name, offer in found.items() if offer.kind != "float"]


def paired(found: dict[str, Offer], named: bool) -> dict[str, Offer]:
    """Those that can be compared: the float ones, and the quantized ones with a float one of the same classes.

    What is left out is printed in a line.

    Args:
        found: networks by name.
        named: whether the user named them.

    Raises:
        ConfigError: the user named one that stands alone, or no quantized one is left.
    """
    alone = [name for name in quantized(found) if not partners(found, name)]
    what = f"{', '.join(alone)}: expected a float network of the same classes beside it, found none"
    if alone and (named or alone == quantized(found)):
        raise ConfigError(f"networks: {what}; name one, or python -m lowbitzoo download one")
    if alone:
        print(f"not shown, {what}; python -m lowbitzoo download resnet20-cifar10 fetches that of CIFAR-10")
    return {name: offer for name, offer in found.items() if name not in alone}


def partners(found: dict[str, Offer], name: str) -> list[str]:
    """The float networks of the same classes as a quantized one, those of its data set and architecture first."""
    own = found[name]
    floats = [offer for offer in found.values() if offer.kind == "float" and offer.classes == own.classes]
    floats.sort(key=lambda offer: (offer.dataset != own.dataset, offer.network != own.network))
    return [offer.name for offer in floats]


def _present() -> Iterable[str]:
    files = {name: path_of(entry) for name, entry in zoo.entries().items()}
    return [name for name, file in files.items() if file is not None and file.is_file()]


def _offer(name: str) -> Offer:
    file, entry = zoo.named(Path(name)), None if Path(name).exists() else zoo.entries().get(name)
    metadata = checkpoint.load(file).metadata
    network, dataset = (
        getattr(entry, what) if entry else str(metadata.get(what, "")) for what in ("network", "dataset")
    )  # some older files record other names
    known = known_names(dataset)
    classes = recorded_classes({"num_classes": known and len(known), **metadata, "dataset": dataset}, file)
    return Offer(name, file, network, dataset, metadata.get("kind", "float"), classes)
