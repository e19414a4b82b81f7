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
