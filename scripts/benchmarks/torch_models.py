"""The comparison networks in plain PyTorch layers; imported only where PyTorch is installed."""

from itertools import pairwise

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


def _norm_conv(channels: int, filters: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(channels, filters, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(filters)]


class BasicBlock(nn.Module):
    """Basic block of ImageNet's ResNets: a 1 x 1 convolution and BatchNorm where the shape changes."""

    def __init__(self, channels: int, filters: int, stride: int):
        super().__init__()
        first, second = _norm_conv(channels, filters, 3, stride), _norm_conv(filters, filters, 3)
        self.body = nn.Sequential(*first, nn.ReLU(inplace=True), *second)
        same = stride == 1 and channels == filters
        self.downsample = nn.Identity() if same else nn.Sequential(*_norm_conv(channels, filters, 1, stride))

    def forward(self, x):
        """(N, C, H, W) to (N, F, H / stride, W / stride)."""
        return functional.relu(self.body(x) + self.downsample(x), inplace=True)


class ResNet18(nn.Sequential):
    """ResNet-18, torchvision's layers: (N, 3, H, W) to (N, 1000)."""

    def __init__(self):
        stem = [*_norm_conv(3, 64, 7, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
        widths = (64, 64, 128, 256, 512)
        blocks = []
        for index, (channels, filters) in enumerate(pairwise(widths)):
            blocks += [BasicBlock(channels, filters, 2 if index else 1), BasicBlock(filters, filters, 1)]
        super().__init__(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000))


class InvertedResidual(nn.Module):
    """MobileNetV2's block: expand, filter each channel, project; the input is added where the shape is the same."""

    def __init__(self, channels: int, filters: int, stride: int, expansion: int):
        super().__init__()
        hidden = expansion * channels
        layers = [] if expansion == 1 else [*_norm_conv(channels, hidden, 1), nn.ReLU6(inplace=True)]
        layers += [*_norm_conv(hidden, hidden, 3, stride, hidden), nn.ReLU6(inplace=True)]
        self.body = nn.Sequential(*layers, *_norm_conv(hidden, filters, 1))
        self.residual = stride == 1 and channels == filters

    def forward(self, x):
        """(N, C, H, W) to (N, F, H / stride, W / stride)."""
        return x + self.body(x) if self.residual else self.body(x)


class MobileNetV2(nn.Sequential):
    """MobileNetV2 of width 1, torchvision's layers: (N, 3, H, W) to (N, 1000)."""

    def __init__(self):
        stages = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2))
        layers, channels = [*_norm_conv(3, 32, 3, 2), nn.ReLU6(inplace=True)], 32
        for expansion, filters, count, stride in (*stages, (6, 320, 1, 1)):
            for block in range(count):
                layers.append(InvertedResidual(channels, filters, 1 if block else stride, expansion))
                channels = filters
        head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(1280, 1000)]
        super().__init__(*layers, *_norm_conv(channels, 1280, 1), nn.ReLU6(inplace=True), *head)


NETWORKS = {"resnet20": ResNet20, "resnet18": ResNet18, "mobilenet_v2": MobileNetV2}


def resnet20_forward(batch_size: int):
    """A step that runs the float ResNet-20 forward in evaluation."""
    network, images = ResNet20().eval(), torch.randn(batch_size, 3, 32, 32)

    def step() -> None:
        with torch.inference_mode():
            network(images).numpy()

    return step


class QuantInput(nn.Module):
    """DAMBQ's activations in plain operators: bits of each channel, learned clip, straight-through rounding."""

    def __init__(self, channels: int, bits: int):
        super().__init__()
        self.register_buffer("steps", torch.full((1, channels, 1, 1), 2.0**bits - 1))
        self.clip = nn.Parameter(torch.tensor(3.0))
        self.probe = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x):
        """(N, C, H, W), >= 0."""
        scaled = torch.minimum(x.clamp(min=0), self.clip) / self.clip * self.steps
        rounded = scaled + (scaled.round() - scaled).detach()
        y = rounded / self.steps * self.clip
        return y + self.probe * (x - y).detach()


class QuantConv(nn.Module):
    """DAMBQ's convolution in plain operators: nearest level of a table, scale by moving average."""

    def __init__(self, conv: nn.Conv2d, bits: int, levels: torch.Tensor, clip: float):
        super().__init__()
        self.conv, self.inputs, self.c = conv, QuantInput(conv.in_channels, bits), clip
        self.register_buffer("levels", levels)
        self.register_buffer("scale", clip * conv.weight.detach().abs().mean((1, 2, 3), keepdim=True))
        self.probe = nn.Parameter(torch.zeros(conv.out_channels, 1, 1, 1))

    def forward(self, x):
        """(N, C, H, W) to (N, F, OH, OW)."""
        w = self.conv.weight
        if self.training:
            self.scale.lerp_(self.c * w.detach().abs().mean((1, 2, 3), keepdim=True), 0.01)
        scaled = w.detach() / self.scale
        nearest = self.levels[(scaled[..., None] - self.levels).abs().argmin(-1)] * self.scale
        inside = torch.minimum(torch.maximum(w, -self.scale), self.scale)
        wq = inside + (nearest - inside).detach()
        wq = wq + self.probe * (w - wq).detach()
        return functional.conv2d(self.inputs(x), wq, None, self.conv.stride, self.conv.padding)


def resnet20_step(quantized: bool, training: bool, batch_size: int):
    """A training or evaluation step of ResNet-20, float or with DAMBQ's arithmetic at 2 bits between its ends."""
    network = ResNet20()
    if quantized:
        levels = torch.tensor([-1.0, -0.2246, 0.2246, 1.0])
        for block in network.blocks:
            block.conv1, block.conv2 = (QuantConv(conv, 2, levels, 2.6) for conv in (block.conv1, block.conv2))
    network.train(training)
    images, labels = torch.randn(batch_size, 3, 32, 32), torch.randint(10, (batch_size,))
    probes = [p for name, p in network.named_parameters() if name.endswith("probe")]
    sums = [torch.zeros_like(p) for p in probes]
    optimizer = torch.optim.SGD(
        [p for name, p in network.named_parameters() if not name.endswith("probe")], 0.01, 0.9, weight_decay=1e-4
    )

    def evaluation() -> None:
        with torch.inference_mode():
            network(images).numpy()

    def train() -> None:
        network.zero_grad()
        functional.cross_entropy(network(images), labels).backward()
        optimizer.step()
        for total, probe in zip(sums, probes):
            total += probe.grad.abs()

    return train if training else evaluation
