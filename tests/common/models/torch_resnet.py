"""ResNet-18, 34 and 50 in plain torch layers, under torchvision's names."""

import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, channels: int, width: int, stride: int, bottleneck: bool):
        super().__init__()
        out = width * (4 if bottleneck else 1)
        shapes = [(channels, width, 1, 1), (width, width, 3, stride), (width, out, 1, 1)]
        shapes = shapes if bottleneck else [(channels, width, 3, stride), (width, width, 3, 1)]
        self.count = len(shapes)
        for index, (before, after, kernel, step) in enumerate(shapes, 1):
            setattr(self, f"conv{index}", nn.Conv2d(before, after, kernel, step, kernel // 2, bias=False))
            setattr(self, f"bn{index}", nn.BatchNorm2d(after))
        self.downsample = None
        if stride != 1 or channels != out:
            self.downsample = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x):
        shortcut = x if self.downsample is None else self.downsample(x)
        for index in range(1, self.count + 1):
            x = getattr(self, f"bn{index}")(getattr(self, f"conv{index}")(x))
            x = torch.relu(x if index < self.count else x + shortcut)
        return x


class TorchResNet(nn.Module):
    def __init__(self, counts: tuple[int, ...], bottleneck: bool, num_classes: int):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        channels = 64
        for stage, count in enumerate(counts):
            blocks = []
            for index in range(count):
                blocks.append(Block(channels, 64 << stage, 2 if stage and not index else 1, bottleneck))
                channels = (64 << stage) * (4 if bottleneck else 1)
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(channels, num_classes)

    def forward(self, x):
        x = torch.max_pool2d(torch.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        for stage in range(1, 5):
            x = getattr(self, f"layer{stage}")(x)
        return self.fc(x.mean((2, 3)))


COUNTS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}


def torch_resnet(depth: int, num_classes: int) -> TorchResNet:
    torch.manual_seed(depth)
    network = TorchResNet(COUNTS[depth], depth == 50, num_classes).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.3, 0.9)
            nn.init.uniform_(module.bias, -0.2, 0.2)
    return network
