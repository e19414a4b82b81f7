"""What a runtime file says of itself besides its program."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from common.data.preprocessing import Preprocessing


@dataclass(frozen=True)
class About:
    """What a network is, and what its images and results mean.

    Attributes:
        network: the architecture.
        method: the quantization.
        dataset: what it was trained on; empty: not recorded.
        preprocessing: of its images.
        accuracy: share of ``samples`` test images whose class is right; 0 of 0: not measured.
        samples: number of these images.
        class_names: one for each class, in label order; none: not known.
        producer: name and version of the program that wrote the file.
    """

    network: str
    method: str
    dataset: str
    preprocessing: Preprocessing
    accuracy: float = 0.0
    samples: int = 0
    class_names: tuple[str, ...] = ()
    producer: str = "lowbitzoo"

    @classmethod
    def of(cls, metadata: Mapping[str, Any], preprocessing: Preprocessing, **more: Any) -> "About":
        """From what a checkpoint records."""
        names = tuple(map(str, metadata.get("class_names") or ()))
        network, method, dataset = (str(metadata.get(key) or "") for key in ("network", "method", "dataset"))
        return cls(network, method, dataset, preprocessing, class_names=names, **more)
