"""Names: of the networks that can be built, of the checkpoints that are registered."""

from common.runtime.installed import require_mindspore
from common.zoo.registry import entries


def list_models(dataset: str | None = None) -> list[str]:
    """The names of the networks that the zoo describes.

    Args:
        dataset: only those for the images of ``digits``, ``cifar10``, ``cifar100`` or ``imagenet``.

    Raises:
        ConfigError: MindSpore is not installed.
    """
    require_mindspore("list_models")
    from common.models.registry import MODELS

    return [name for name, model in MODELS.items() if dataset is None or dataset in model.datasets]


def list_checkpoints(method: str | None = None, dataset: str | None = None) -> list[str]:
    """The names of the registered checkpoints, as :func:`lowbitzoo.load` takes them.

    Args:
        method: only those that this method evaluates.
        dataset: only those of ``digits``, ``cifar10``, ``cifar100`` or ``imagenet``.

    >>> list_checkpoints("LDNQ", "digits")
    ['ldnq-resnet20-digits-ternary', 'ldnq-resnet20-digits-ternary-a8', 'resnet20-digits']
    """
    wanted = {"method": method, "dataset": dataset}
    asked = {field: value for field, value in wanted.items() if value is not None}
    return [name for name, entry in entries().items() if all(getattr(entry, field) == asked[field] for field in asked)]
