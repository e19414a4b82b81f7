"""PyTorch's DataLoader over a folder of images, with torchvision's transforms; imported in the peers' environment."""

import torch
from torch.utils.data import ConcatDataset, DataLoader

# torchvision's own operators are compiled for one build of PyTorch and absent in another (its wheels and those of a
# PyTorch for CPUs alone). Importing it asks for their names; transforms need none of them.
_OPERATORS = torch.library.Library("torchvision", "FRAGMENT")


def _name_operators() -> None:
    for name in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, name):
            _OPERATORS.define(f"{name}(Tensor boxes, Tensor scores, float iou_threshold) -> Tensor")


def step(images: str, training: bool, batch_size: int, threads: int, least: int):
    """A pass over the folder, repeated to at least ``least`` images, by as many worker processes as ``threads``."""
    _name_operators()
    from torchvision import datasets, transforms

    normalize = transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    cut = (
        [transforms.RandomResizedCrop(224), transforms.RandomHorizontalFlip()]
        if training
        else [transforms.Resize(256), transforms.CenterCrop(224)]
    )
    folder = datasets.ImageFolder(images, transforms.Compose([*cut, transforms.ToTensor(), normalize]))
    repeated = ConcatDataset([folder] * -(-least // len(folder)))
    loader = DataLoader(
        repeated, batch_size, shuffle=training, num_workers=threads, drop_last=training, persistent_workers=True
    )

    def run() -> None:
        for _ in loader:
            pass

    return run
