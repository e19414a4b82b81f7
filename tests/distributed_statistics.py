"""Statistics that several processes share, on tiny networks; as a program each process writes what it finds."""

import sys
from pathlib import Path

import numpy as np
import training_run as run
from mindspore import nn

from common.checkpoint import network_state

sys.path.append(str(Path(__file__).parent / "ProQHA"))

import proqha_tiny

from AdderQuant import calibration
from AdderQuant.calibration import CalibrationData, calibrate, input_ranges, observe_inputs, reestimate
from AdderQuant.quant_config import QuantConfig
from common import distributed
from common.data import CIFAR10, ImageArrays
from common.models.adder import Adder2d
from common.models.registry import model
from common.runtime import context
from common.runtime.hooks import reestimate_batch_norm
from LDNQ.calibration_set import CalibrationSet
from LDNQ.observation import input_hessians
from ProQHA.fisher import FisherScorer
from ProQHA.quant_config import QuantConfig as ProQHAConfig
from ProQHA.scores import AccuracyScorer, Lowering

Found = dict[str, np.ndarray]
BITS, LOWERED = np.array([[5, 4], [3, 6], [8, 3], [4, 2]]), np.array([[4, 3], [2, 4], [6, 2], [2, 2]])


def hessians() -> Found:
    """LDNQ: of the layers before and behind BatchNorm; 13 images in 2 batches, of 2 sizes."""
    network, data = run.Small(), CalibrationSet(run.images(13), run.PREPROCESSING, 1, 0)
    layers = {"conv": network.conv, "fc": network.fc}
    return input_hessians(network, layers, data.passes(1, 7))


def norms() -> Found:
    """BatchNorm statistics of the same network and images, in two views."""
    network, data = run.Small(), CalibrationSet(run.images(13), run.PREPROCESSING, 2, 0)
    reestimate_batch_norm(network, data.passes(2, 7))
    return {"mean": network.norm.moving_mean.asnumpy(), "variance": network.norm.moving_variance.asnumpy()}


def adder_data() -> CalibrationData:
    """20 images in 2 batches, the last of which is not full, and 3 batches to re-estimate from."""
    calibration._BATCH = 12
    pixels = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), np.uint8)
    return CalibrationData(ImageArrays(pixels, np.zeros(20, np.int32), 10), CIFAR10, 3)


class Adders(nn.Cell):
    """Two adder layers whose inputs are not negative."""

    def __init__(self):
        super().__init__()
        self.first, self.second = Adder2d(3, 4, 3, 4, 1), Adder2d(4, 4, 3, 1, 1)

    def construct(self, x):
        return self.second(abs(self.first(abs(x))))


def ranges() -> Found:
    """AdderQuant: the ranges of least error and the paper's, and the smallest inputs, of every layer."""
    seen = observe_inputs(proqha_tiny.seeded(Adders()), distributed.share(adder_data().plain()))
    configs = QuantConfig(4), QuantConfig(4, "paper")
    reaches = {one.scheme: np.array(list(input_ranges(seen, one).values())) for one in configs}
    return {**reaches, "minimum": np.array([histogram.minimum for histogram in seen.values()])}


def calibrated() -> Found:
    """AdderQuant: whole calibrations, to 4 bits after that of BatchNorm, without which no layer has input."""
    network, data = proqha_tiny.seeded(model("adder_resnet20").build(10)), adder_data()
    reestimate(network, 0, data)
    return network_state.state(calibrate(network, QuantConfig(4, "paper", reestimate=True), data))


def scores() -> Found:
    """ProQHA: the Fisher scores of 4 images, and accuracies on 50."""
    network, lowering = proqha_tiny.quantized(BITS, clip=2.0), Lowering(LOWERED, np.array([1.1, 0.9, 1.7, 0.6]))
    images, config = proqha_tiny.batch(4), ProQHAConfig(signed=("mix",))
    fisher = FisherScorer(proqha_tiny.tiny(), config, images, proqha_tiny.labels(4))
    accuracy = AccuracyScorer(images, proqha_tiny.images(50), proqha_tiny.PREPROCESSING, 30)
    return {"fisher": fisher.table(network, lowering), "acc": accuracy(network, lowering, [BITS, LOWERED])}


def main(folder: Path) -> None:
    """Find all of it and write it to a file of this process."""
    context.setup()
    statistics = {**hessians(), **norms(), **ranges(), **scores(), **calibrated()}
    np.savez(folder / f"found_{distributed.rank()}.npz", **statistics)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
