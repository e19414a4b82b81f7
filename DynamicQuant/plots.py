"""Pictures of choices: how many images took how many bits in each layer, and the cheapest and dearest images."""

from pathlib import Path

import numpy as np

from common.data import ImageSource, Preprocessing
from common.report import figure
from DynamicQuant.choices import Choices

_EXAMPLES = 10  # images in a row


def plot_bits(choices: Choices, path: Path) -> None:
    """Draw a bar per layer, divided by the share of the images that took each width.

    Args:
        choices: choices of a test set.
        path: PNG file.
    """
    picture = figure.new(10, 1.5 + 0.28 * len(choices.layers))
    bars, per_image = picture.subplots(1, 2, width_ratios=(2, 1))
    left, shades = np.zeros(len(choices.layers)), ("#9ecae1", "#4292c6", "#084594")
    for k, (width, shade) in enumerate(zip(choices.config.candidates, shades)):
        bars.barh(choices.layers, choices.shares[:, k], left=left, color=shade, label=f"{width} bits")
        left += choices.shares[:, k]
    bars.invert_yaxis()
    bars.set(xlabel="share of the images", xlim=(0, 1), title=f"bits of each layer, {len(choices.index)} images")
    bars.legend(loc="lower center", bbox_to_anchor=(0.5, -0.22), ncols=3, frameon=False)
    per_image.hist(choices.operations / choices.static_operations, bins=40, color=shades[1])
    per_image.axvline(1, color="black", linestyle=":")
    per_image.set(xlabel=f"bit operations / static {choices.config.bits} bits", ylabel="images")
    figure.save(picture, path)


def plot_examples(choices: Choices, source: ImageSource, preprocessing: Preprocessing, path: Path) -> None:
    """Draw the images of fewest bit operations above those of most.

    Args:
        choices: choices of all images of the source, in its order.
        source: the images.
        preprocessing: preprocessing of the network.
        path: PNG file.
    """
    order = np.argsort(choices.operations, kind="stable")
    count = min(_EXAMPLES, len(order))
    picture = figure.new(1.25 * count, 3.6)
    grid = picture.subplots(2, count, squeeze=False)
    for row, numbers, title in ((0, order[:count], "easy"), (1, order[::-1][:count], "hard")):
        pixels = _pixels(source.eval_batch(numbers, preprocessing), preprocessing)
        for axes, number, image in zip(grid[row], numbers, pixels):
            axes.imshow(image)
            axes.set_axis_off()
            ratio = choices.operations[number] / choices.static_operations
            axes.set_title(f"{title}: {ratio:.2f}\nclass {choices.labels[number]}", fontsize=8)
    picture.suptitle(f"bit operations / static {choices.config.bits} bits", fontsize=9)
    figure.save(picture, path)


def _pixels(images: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    """Images (N, 3, S, S) as a network sees them, to pictures (N, S, S, 3) in [0, 1]."""
    shape = (1, 3, 1, 1)
    values = images * np.reshape(preprocessing.std, shape) + np.reshape(preprocessing.mean, shape)
    return values.clip(0, 1).transpose(0, 2, 3, 1)
