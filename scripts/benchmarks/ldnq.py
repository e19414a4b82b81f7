"""LDNQ's Hessian and ADMM on three layers of ResNet-20, against the equations written down as they stand.

The direct form adds one outer product per patch of every image to the Hessian, and solves a linear system in each
iteration of ADMM. Both get the same images and weights and do the same number of iterations.
"""

import argparse

import numpy as np

from benchmarks.harness import Candidate, take_turns

LAYERS = ((16, 16, 32), (32, 32, 16), (64, 64, 8))  # channels, filters, side: the 3 x 3 layers of the three stages
ITERATIONS = 100


def _problem(channels: int, filters: int, side: int, images: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs (N, C, H, W) as they leave a ReLU, and weights (F, 9 C)."""
    generator = np.random.default_rng(channels)
    inputs = generator.normal(size=(images, channels, side, side)).clip(0).astype(np.float32)
    return inputs, 0.1 * generator.normal(size=(filters, 9 * channels))


def direct_hessian(inputs: np.ndarray) -> np.ndarray:
    """H = mean p p^T over the 3 x 3 patches of padded images, one outer product each."""
    count, channels, height, width = inputs.shape
    padded = np.pad(inputs, ((0, 0), (0, 0), (1, 1), (1, 1)))
    total = np.zeros((9 * channels, 9 * channels))
    for image in padded:
        for row in range(height):
            for column in range(width):
                patch = image[:, row : row + 3, column : column + 3].reshape(-1)
                total += np.outer(patch, patch)
    return total / (count * height * width)


def direct_projection(values: np.ndarray, iterations: int = 10) -> np.ndarray:
    """Nearest a q, q in {0, 1, -1}: a = <v, q> / <q, q> and q = nearest level of v / a in turns, from a = mean |v|."""
    scale = np.abs(values).mean()
    for _ in range(iterations):
        levels = np.sign(values) * (np.abs(values / scale) >= 0.5)
        scale = np.sum(values * levels) / np.sum(levels * levels)
    return scale * levels


def direct_admm(weight: np.ndarray, hessian: np.ndarray) -> np.ndarray:
    """Ternary ADMM with a linear solve per iteration, rho = mean of the diagonal of H."""
    rho, identity = np.trace(hessian) / len(hessian), np.eye(len(hessian))
    values, multiplier = weight.T.copy(), np.zeros_like(weight.T)
    for _ in range(ITERATIONS):
        target = np.linalg.solve(hessian + rho * identity, hessian @ weight.T + rho * (values - multiplier))
        values = direct_projection(target + multiplier)
        multiplier = multiplier + target - values
    return values.T


def step(images: int, direct: bool, part: str):
    """One pass over the layers: ``part`` hessian, admm, both, or whole (with coordinate descent)."""
    from common.quant.conv_geometry import ConvGeometry
    from LDNQ.admm import admm, solve
    from LDNQ.hessian import InputMoment

    def fast_hessian(inputs: np.ndarray) -> np.ndarray:
        moment = InputMoment(ConvGeometry((3, 3), (1, 1), (1, 1, 1, 1)))
        moment.add(inputs)
        return moment.hessian[0]

    def fast_admm(weight: np.ndarray, hessian: np.ndarray):
        return admm(weight, hessian, 3, rho=1.0, iterations=ITERATIONS, patience=ITERATIONS)

    second_moment = direct_hessian if direct else fast_hessian
    quantize = direct_admm if direct else fast_admm
    problems = [_problem(*layer, images) for layer in LAYERS]
    known = [fast_hessian(inputs) for inputs, _ in problems]

    def run_once() -> None:
        for (inputs, weight), ready in zip(problems, known):
            hessian = ready if part == "admm" else second_moment(inputs)
            if part == "whole":
                solve(weight, hessian, 3)
            elif part != "hessian":
                quantize(weight, hessian)

    return run_once


def run(args: argparse.Namespace) -> list[dict]:
    """Rows: what, milliseconds of both forms, how many times faster ours is."""
    images = args.batch_size or 500  # as many as a run on 1 % of CIFAR-10 has
    parts = {"hessian": "Hessian", "admm": f"ADMM, {ITERATIONS} iterations", "both": "Hessian and ADMM"}
    pairs = {part: [_candidate(images, part, direct) for direct in (False, True)] for part in parts}
    whole = _candidate(images, "whole", False)
    take_turns([candidate for pair in pairs.values() for candidate in pair] + [whole], args.rounds)
    rows = [_row(f"{title}, {images} images", *pairs[part]) for part, title in parts.items()]
    return [*rows, _row("Hessian, ADMM and coordinate descent as shipped", whole, pairs["both"][1])]


def _candidate(images: int, part: str, direct: bool) -> Candidate:
    arguments = {"images": images, "direct": direct, "part": part}
    return Candidate(f"{part} {'direct' if direct else 'ours'}", step, arguments)


def _row(title: str, ours: Candidate, direct: Candidate) -> dict:
    return {
        "three layers of ResNet-20": title,
        "ours ms": round(1000 * ours.median, 1),
        "direct ms": round(1000 * direct.median, 1),
        "times faster": round(direct.median / ours.median, 1),
    }
