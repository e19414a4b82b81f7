"""The gain that choosing bits can bring, and how much of it a controller could know.

On training images: the change of the loss when one layer alone takes a bit less or more than t, and what the
straight-through gradient, which trains the controller, predicts of it. On test images: how much of the change a linear
map of the first stage's output, fitted on the training images, predicts (R^2; the best of several ridge penalties), and
the change of the loss, layers taken as independent, when bits are chosen within the budget of t bits: by the layer
alone, by that map, and by the change itself, which only the labels give.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from DynamicQuant.marginals import MIDDLE, Marginals

_RIDGES = (1e2, 1e3, 1e4, 1e5, 1e6)
_STEPS = 60  # of bisection


def allocate(change: np.ndarray, costs: np.ndarray, limit: float) -> np.ndarray:
    r"""Candidates (N, L) of the least :math:`\sum_{nl} \Delta_{nlk}` whose mean cost is at most the limit.

    :math:`\arg\min_k \Delta_{nlk} + \lambda c_{lk}` with the smallest multiplier that will do.

    Args:
        change: change of the loss, (N, L, K), known or predicted.
        costs: cost of each candidate, (L, K), rising with k.
        limit: limit of the mean over images of the sum over layers.
    """
    low, high = 0.0, 1e6
    for _ in range(_STEPS):
        middle = (low + high) / 2
        index = (change + middle * costs).argmin(2)
        if costs[np.arange(len(costs)), index].sum(1).mean() <= limit:
            high = middle
        else:
            low = middle
    return (change + high * costs).argmin(2)


def mean_change(index: np.ndarray, change: np.ndarray) -> float:
    """Mean change of the loss of choices (N, L) if layers do not depend on each other."""
    return float(np.take_along_axis(change, index[:, :, None], 2).sum((1, 2)).mean())


def predicted(known: Marginals, features: np.ndarray, ridge: float) -> np.ndarray:
    """The change (N, L, K) that ridge regression on known images gives for the features (N, F) of others."""
    center, scale = known.features.mean(0), known.features.std(0) + 1e-6
    x, other = (known.features - center) / scale, (features - center) / scale
    mean = known.change.mean(0)
    y = (known.change - mean).reshape(len(x), -1)
    weights = np.linalg.solve(x.T @ x + ridge * np.eye(x.shape[1]), x.T @ y)
    change = (other @ weights).reshape(-1, *mean.shape) + mean
    change[:, :, MIDDLE] = 0
    return change


def explained(prediction: np.ndarray, change: np.ndarray, mean: np.ndarray) -> float:
    """R^2 of a predicted change relative to single layers' means (L, K)."""
    return 1 - float(((change - prediction) ** 2).sum() / ((change - mean) ** 2).sum())


def study(known: Marginals, other: Marginals, costs: np.ndarray, limit: float) -> dict[str, Any]:
    """The figures that the module's text describes.

    Args:
        known: measurements on training images.
        other: measurements on test images.
        costs: cost of each candidate, (L, K), rising with k.
        limit: limit of the mean over images of the sum over layers.
    """
    mean = known.change.mean(0)
    tries = [predicted(known, other.features, ridge) for ridge in _RIDGES]
    best = max(tries, key=lambda prediction: explained(prediction, other.change, mean))
    guides = {"by layer": np.broadcast_to(mean, other.change.shape), "by first stage": best, "by labels": other.change}
    others = [k for k in range(known.change.shape[2]) if k != MIDDLE]
    change, gradient = known.change[:, :, others], known.gradient[:, :, others]
    return {
        "images": {"known": len(known.loss), "held out": len(other.loss)},
        "change of the loss": _sides(change),
        "straight-through gradient": _sides(gradient),
        "half its square": _sides(gradient**2 / 2),
        "correlation with the change": float(np.corrcoef(gradient.ravel(), change.ravel())[0, 1]),
        "explained by the first stage": explained(best, other.change, mean),
        "change of the loss by choices": {
            name: mean_change(allocate(guide, costs, limit), other.change) for name, guide in guides.items()
        },
    }


def _sides(values: np.ndarray) -> dict[str, float]:
    return {name: float(values[:, :, side].mean()) for side, name in enumerate(("a bit less", "a bit more"))}


def study_lines(record: Mapping[str, Any]) -> Iterator[str]:
    """The figures of :func:`study`, a line each."""
    for name, value in record.items():
        parts = value.items() if isinstance(value, dict) else [("", value)]
        yield f"{name}: " + ", ".join(f"{key} {figure:.4g}".strip() for key, figure in parts)
