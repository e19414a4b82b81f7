"""BatchNorm in float64 NumPy."""

from dataclasses import dataclass

import numpy as np

SHAPES = [(2, 3, 1, 1), (1, 2, 3, 5), (4, 5, 7, 9), (3, 1, 16, 16), (17, 6, 8, 33), (2, 4, 40, 41)]
EPS, MOMENTUM = 1e-5, 0.1


@dataclass
class Sample:
    """Input, gradient of the output, parameters and moving statistics."""

    x: np.ndarray
    gy: np.ndarray
    gamma: np.ndarray
    beta: np.ndarray
    moving_mean: np.ndarray
    moving_variance: np.ndarray


def sample(shape) -> Sample:
    rng = np.random.default_rng(sum(shape))
    x, gy = rng.normal(1.5, 2, shape), rng.normal(0, 1, shape)
    state = [rng.normal(0, 1, shape[1]) for _ in range(3)] + [rng.uniform(0.5, 2, shape[1])]
    return Sample(*(np.asarray(value, np.float32) for value in (x, gy, *state)))


def wide(channels: np.ndarray) -> np.ndarray:
    return channels.astype(np.float64).reshape(1, -1, 1, 1)


def training(sample: Sample) -> list[np.ndarray]:
    """Output, gradients for x, gamma and beta, moving mean and variance."""
    x, gy, axes = sample.x.astype(np.float64), sample.gy.astype(np.float64), (0, 2, 3)
    mean, variance, count = x.mean(axes), x.var(axes), x[:, 0].size
    inverse = 1 / np.sqrt(variance + EPS)
    normal = (x - wide(mean)) * wide(inverse)
    ggamma, gbeta = (gy * normal).sum(axes), gy.sum(axes)
    gx = wide(sample.gamma) * wide(inverse) * (gy - wide(gbeta) / count - normal * wide(ggamma) / count)
    moving = [
        (1 - MOMENTUM) * old + MOMENTUM * new
        for old, new in ((sample.moving_mean, mean), (sample.moving_variance, variance * count / (count - 1)))
    ]
    return [normal * wide(sample.gamma) + wide(sample.beta), gx, ggamma, gbeta, *moving]


def evaluation_gradients(sample: Sample) -> list[np.ndarray]:
    """Gradients for x, gamma and beta where the statistics are the moving ones."""
    inverse = 1 / np.sqrt(sample.moving_variance.astype(np.float64) + EPS)
    gy, normal = sample.gy.astype(np.float64), (sample.x - wide(sample.moving_mean)) * wide(inverse)
    return [gy * wide(sample.gamma) * wide(inverse), (gy * normal).sum((0, 2, 3)), gy.sum((0, 2, 3))]
