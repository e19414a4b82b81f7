"""Every registered packed network: integer engine, fake-quantized network and float64.

Layer by layer on the same codes: floats within the rounding of float32, codes equal but where the value before rounding
is within 1e-5 of a tie. Whole networks: top-1 differs on few images, and on none of the digits; each difference begins
with such a tie; and the integer network is no farther from float64 than the float32 network is.
"""

import importlib
import itertools

import numpy as np
import pytest
from exactness import Exactness
from mindspore import Tensor

from common.checkpoint import network_state
from common.cli.engine import INTEGER, choose_engine
from common.data import batches, eval_dataset, open_dataset
from common.engine.about import About
from common.engine.compiler import compile_network
from common.engine.networks.describe import describe, has_grids
from common.engine.opened import OpenedFile
from common.engine.runtime_file import encode
from common.models.registry import preprocessing_of
from common.runtime.context import execution_mode
from common.zoo.registry import entries
from common.zoo.store import path_of

pytestmark = pytest.mark.slow
LAYERWISE, NEAR = 8, 64  # images of the comparisons by layer and with float64
MOST = 10  # of 10,000 images of other top-1
# Float evaluation of these sums products of floats, which rounds: with AVX-512 12 of ProQHA's images at 3 bits, 49
# at 4, 12 of DynamicQuant's. Whole numbers would leave at most 10, but not the bits of the network that was trained.
MOST_ROUNDED = {"ProQHA": 60, "DynamicQuant": 60}
MOST_BATCHES = 12  # of 250 images, of files beside the engine
MOVED = 1e-3  # of a logit, by a code on the other side of a tie


def packed_networks():
    """Names of the registered networks that are packed, by their data set."""
    shipped = [entry for entry in entries().values() if entry.shipped and not entry.bits.startswith("float")]
    return [pytest.param(entry, id=entry.name) for entry in shipped]


@pytest.fixture(params=packed_networks())
def registered(request):
    """A network on grids, and its test images."""
    entry = request.param
    stored = importlib.import_module(f"{entry.method}.storage").load(path_of(entry))
    if not has_grids(entry.network, stored.layers):
        pytest.skip("its activations are float")
    folder = None if entry.dataset == "digits" else request.getfixturevalue("official_cifar10")
    return stored, open_dataset(entry.dataset, folder, "test"), entry


@pytest.mark.xdist_group("official")  # the images are prepared once
def test_integers_floats_and_float64_agree(registered):
    stored, source, entry = registered
    engine = choose_engine(None, stored, 32)
    assert engine.name == INTEGER, engine.about
    float_network = logits_of(stored.network.set_train(False))
    integers, floats, images = [], [], []
    for batch in batches(eval_dataset(source, preprocessing_of(entry.dataset, stored.metadata), 250, 1, 0)):
        images.append(batch["image"][batch["valid"] > 0])
        count = len(images[-1])
        integers.append(logits_of(engine.network)(Tensor(batch["image"]))[:count])
        floats.append(float_network(Tensor(batch["image"]))[:count])
    integers, floats, images = map(np.concatenate, (integers, floats, images))
    assert len(images) == len(source)
    exact = Exactness(stored)
    tensors = exact.tensors(images[:LAYERWISE])
    assert exact.check_steps(tensors, images[:LAYERWISE]) > 10**5
    with execution_mode("pynative"):
        exact.check_layers(tensors)
    differ = np.flatnonzero(integers.argmax(1) != floats.argmax(1))
    traced = [exact.check_traced(images[i]) for i in differ]
    check_near(exact.float64.logits(images[:NEAR]), integers[:NEAR], floats[:NEAR])
    most = 0 if entry.dataset == "digits" else MOST_ROUNDED.get(entry.method, MOST)
    assert len(traced) <= most, differ


@pytest.mark.xdist_group("official")
def test_files_give_the_bits_of_the_engine_inside_mindspore(registered):
    """In batches on two threads, and images alone that two threads share."""
    stored, source, entry = registered
    engine = choose_engine(None, stored, 32).network
    parameters, preprocessing = network_state.state(stored.network), preprocessing_of(entry.dataset, stored.metadata)
    description = describe(entry.network, parameters, stored.layers, (32, 32))
    file = encode(compile_network(description, plain=True), About.of(stored.metadata, preprocessing))
    opened, count = OpenedFile(file), 0
    with execution_mode("pynative"):
        for batch in itertools.islice(batches(eval_dataset(source, preprocessing, 250, 1, 0)), MOST_BATCHES):
            expected = engine.computed(Tensor(batch["image"])).asnumpy().view(np.int32)
            assert np.array_equal(opened.run(batch["image"], 2).view(np.int32), expected)
            for i in range(0, len(expected), 25):
                assert np.array_equal(opened.run(batch["image"][i : i + 1], 2).view(np.int32), expected[i : i + 1])
            count += int((batch["valid"] > 0).sum())
    assert count == min(len(source), 250 * MOST_BATCHES)


def logits_of(network):
    """Function from a batch to logits alone, of networks that tell their choices too."""

    def call(images):
        result = network(images)
        return (result[0] if isinstance(result, tuple) else result).asnumpy()

    return call


def check_near(exact, integers, floats):
    """Logits of integers are no farther from float64 than those of floats.

    Which of them has a code beyond a tie in an image is chance; more than two standard errors of its number are not.
    """
    near, far = (np.abs(found - exact).max(1) for found in (integers, floats))
    one, other = (near > MOVED).sum(), (far > MOVED).sum()
    assert np.median(near) <= np.median(far) and one - other <= 2 * np.sqrt(one + other), (near, far)
