"""The comparison networks in plain PyTorch layers; imported only where PyTorch is installed."""

import torch
from torch import nn
from torch.nn import functional


class Block(nn.Module):
    """Basic block with the parameter-free shortcut."""

    def __init__(self, channels: int, filters: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, filters, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(filters)
        self.stride, self.extra = stride, filters - channels

    def forward(self, x):
        """(N, C, H, W) to (N, F, H / stride, W / stride)."""
        shortcut = x
        if self.extra or self.stride != 1:
            half = self.extra // 2
            shortcut = functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, half, self.extra - half))
        out = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        return functional.relu(out + shortcut)


class ResNet20(nn.Module):
    """CIFAR ResNet-20: (N, 3, 32, 32) to (N, 10)."""

    def __init__(self):
        super().__init__()
        shapes = [(16, 16, 1)] * 3 + [(16, 32, 2)] + [(32, 32, 1)] * 2 + [(32, 64, 2)] + [(64, 64, 1)] * 2
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.blocks = nn.Sequential(*[Block(*shape) for shape in shapes])
        self.fc = nn.Linear(64, 10)

    def forward(self, x):
        """Images to logits."""
        return self.fc(self.blocks(self.stem(x)).mean((2, 3)))


def resnet20_forward(batch_size: int):
    """A step that runs the float ResNet-20 forward in evaluation."""
    network, images = ResNet20().eval(), torch.randn(batch_size, 3, 32, 32)

    def step() -> None:
        with torch.inference_mode():
            network(images).numpy()

    return step
