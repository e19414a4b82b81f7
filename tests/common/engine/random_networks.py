"""Random networks of every instruction, at awkward sizes, with weights up to the bounds of the lanes."""

import numpy as np

from common.engine.description import Choose, Description, FloatConv, Grid, Image, IntegerConv, Pool, Tail, Take
from common.engine.tensors import tensors_of

KINDS = (1, 2, 3, 4, 5, 6, 7, 8, "two values", "extremes")


def random_weight(rng, shape):
    """Odd integers of k bits, or those whose lanes come nearest to their bounds."""
    kind = KINDS[rng.integers(len(KINDS))]
    if kind == "two values":
        return rng.choice([-128, 127], (shape[0], 1, 1, 1)) * np.ones(shape, np.int64)
    if kind == "extremes":
        return rng.choice([-255, -128, -127, 127, 255], shape)
    return 2 * rng.integers(0, 2**kind, shape) - (2**kind - 1)


def random_grid(rng, channels, planes=False):
    """Codes of 1 to 8 bits, of one width or one for each channel, or of 16 bits in two planes."""
    if planes:
        return Grid(np.full(1, 900, np.float32), np.full(1, 65535), planes=True)
    top, multiplier = 2 ** int(rng.integers(1, 9)) - 1, np.ones(1, np.int64)
    if top <= 15 and rng.random() < 0.5:
        multiplier = rng.choice([1, 3, 5, 15], channels)
    if rng.random() < 0.5:
        return Grid(np.full(1, top / 2, np.float32), np.full(1, top), multiplier)
    return Grid(np.ones(1, np.float32), rng.integers(1, top + 1, channels), multiplier)


def pair(rng, filters, size=0.2):
    return rng.normal(0, size, filters).astype(np.float32), rng.normal(0, 1, filters).astype(np.float32)


def floats(rng, *shape):
    return rng.normal(0, 0.5, shape).astype(np.float32)


class RandomNetwork:
    """Stem, integer convolutions, a residual with a shortcut, pixels taken, pooling, last layer.

    Attributes:
        description: of the network.
    """

    def __init__(self, seed):
        self.rng, self.steps = np.random.default_rng(seed), []
        self.stem()
        self.block()
        self.shortcut()
        self.head()
        self.description = Description(tuple(self.steps), "logits")

    def below(self, low, high):
        return int(self.rng.integers(low, high))

    def shape(self, name):
        return tensors_of(Description(tuple(self.steps), name))[name].shape

    def stem(self):
        rng, channels = self.rng, self.below(1, 5)
        self.filters = int(rng.choice([1, 5, 16, 17, 24, 32]))
        self.grid = random_grid(rng, self.filters, rng.random() < 0.15)
        tail = Tail(pair(rng, self.filters), relu=True, store="x", codes="q", grid=self.grid)
        weight, stride = floats(rng, self.filters, channels, 3, 3), self.below(1, 3)
        self.steps += [Image("image", (channels, self.below(4, 20), self.below(4, 20)))]
        self.steps += [FloatConv("image", weight, tail, stride, padding=1)]

    def block(self):
        """Two convolutions; a float one beside the second is its residual."""
        rng, filters = self.rng, self.filters
        planes = self.grid.planes
        multiplier = np.repeat([256, 1], filters) if planes else None
        kernel, padding = rng.integers(1, 4, 2), self.below(1, 3)
        weight = random_weight(rng, (2 * filters, filters * (1 + planes), *kernel))
        scale = 0.01 / np.abs(weight).max() / (256 if planes else 1)
        inner = Tail(pair(rng, 2 * filters, scale), store="v", codes="inner", grid=random_grid(rng, 2 * filters))
        self.steps += [IntegerConv("q", weight, inner, self.below(1, 4), padding, multiplier)]
        self.steps += [FloatConv("v", floats(rng, filters, 2 * filters, 1, 1), Tail(store="short"))]
        weight = random_weight(rng, (filters, 2 * filters, 3, 3))
        tail = Tail(
            pair(rng, filters, 0.01 / np.abs(weight).max()),
            residual="short",
            relu=rng.random() < 0.5,
            store="y",
            norm=pair(rng, filters),
            active="active",
            codes="z",
            grid=random_grid(rng, filters),
        )
        self.steps += [IntegerConv("inner", weight, tail, 1, 1)]

    def shortcut(self):
        """Fewer pixels and more channels, added to a convolution of stride 2."""
        rng, filters = self.rng, self.filters
        wider, residual = filters + self.below(0, 20), "taken"
        self.steps += [Take("active", Tail(store="taken"), 2, (wider - filters) // 2, wider)]
        if rng.random() < 0.3:
            residual = self.chosen(wider)
        differences = rng.random() < 0.4
        shape = (wider, filters, 3, 3)
        weight = rng.integers(0, 256, shape) if differences else random_weight(rng, shape)
        tail = Tail(pair(rng, wider, 0.01 / np.abs(weight).max()), residual=residual, relu=True, store="w")
        offset = rng.integers(0, 2**24, wider) if differences and rng.random() < 0.5 else None
        self.steps += [IntegerConv("z", weight, tail, 2, 1, differences=differences, offset=offset)]

    def chosen(self, wider):
        """Images choose one of three convolutions, and the grid of its codes, by the mean of the stem's output."""
        rng, filters, count = self.rng, self.filters, 3
        self.steps += [Pool("x", Tail(store="means"), self.shape("x")[1:])]
        scores = floats(rng, 2 * count, filters, 1, 1)
        self.steps += [FloatConv("means", scores, Tail(pair(rng, 2 * count, 1), store="scores"))]
        self.steps += [Choose("scores", "choices", count)]
        tops = rng.integers(1, 256, (count, 1))
        grid = Grid(tops.astype(np.float32), tops, np.ones((count, 1), np.int64), decision=int(rng.integers(2)))
        self.steps += [Take("active", Tail(codes="chosen codes", grid=grid))]
        for candidate in range(count):
            weight = random_weight(rng, (wider, filters, 3, 3))
            scale = pair(rng, wider, 0.01 / np.abs(weight).max())
            tail = Tail(scale, residual="taken", store="chosen")
            self.steps += [IntegerConv("chosen codes", weight, tail, 2, 1, candidate=candidate)]
        return "chosen"

    def head(self):
        rng, (channels, height, width) = self.rng, self.shape("w")
        kernel = min(height, 2), min(width, 3)
        padding = self.below(0, min(kernel))
        self.steps += [Pool("w", Tail(store="largest"), kernel, self.below(1, 3), padding, maximum=True)]
        self.steps += [Pool("largest", Tail(store="mean"), self.shape("largest")[1:])]
        self.steps += [FloatConv("mean", floats(rng, 7, channels, 1, 1), Tail(pair(rng, 7), store="logits"))]


def random_network(seed):
    return RandomNetwork(seed).description
