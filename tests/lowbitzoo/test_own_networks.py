"""Networks that users write, the whole way: quantized, trained, saved, loaded elsewhere, used, exported."""

import subprocess
import sys
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops
from PIL import Image

import lowbitzoo
from common.data import Preprocessing
from common.errors import ConfigError
from common.export import mindir
from common.runtime.context import execution_mode
from common.runtime.hooks import reestimate_batch_norm
from lowbitzoo import runtime
from tests import own_networks as own

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = {
    "DAMBQ": {"bits": 4},
    "ProQHA": {"bits": 6},
    "DynamicQuant": {"bits": 5},
    "LDNQ": {"levels": 11, "views": 2, "count": 16, "steps": 2, "refine_steps": 2},
}
ELSEWHERE = """
import sys
import numpy as np
import lowbitzoo
from common.runtime.context import execution_mode
from tests import own_networks as own
network = {network}
with execution_mode("pynative"):
    stored = lowbitzoo.load(sys.argv[1], network=network)
    np.save(sys.argv[2], own.logits(stored.network, form=own.form_of(stored)))
"""


def mindcv_network():
    mindcv = pytest.importorskip("mindcv", reason="needs the extra [mindcv]")
    return mindcv.create_model("shufflenet_v2_x1_0", num_classes=own.CLASSES)


NETWORKS = {"same": own.SameNet, "dilated": own.DilatedNet, "mindcv": mindcv_network}
MADE = {
    "same": "own.SameNet()",
    "dilated": "own.DilatedNet()",
    "mindcv": "__import__('mindcv').create_model('shufflenet_v2_x1_0', num_classes=own.CLASSES)",
}


def form_of(case: str) -> Preprocessing:
    return Preprocessing(32, own.FORM.mean, own.FORM.std) if case == "mindcv" else own.FORM


def settled(network, form):
    """BatchNorm statistics of the pictures, as a trained network has."""
    with execution_mode("pynative"):
        reestimate_batch_norm(network, [own.batch(20, form, form.image_size).asnumpy()])
    return network.set_train(False)


def train(network, form, steps=2):
    """Two steps of plain descent."""
    images, labels = own.batch(10, form, form.image_size), Tensor(np.arange(10) % own.CLASSES, ms.int32)
    network.set_train(True)
    parameters = network.trainable_params()
    optimizer = nn.SGD(parameters, 0.01)
    gradient = ms.value_and_grad(lambda x, y: ops.cross_entropy(network(x), y), None, parameters)
    for _ in range(steps):
        loss, grads = gradient(images, labels)
        assert np.isfinite(float(loss.asnumpy()))
        optimizer(grads)
    network.set_train(False)


def whole_way(tmp_path, stored, form, fresh, made):
    """Saved, loaded in another process, evaluated, predicted with and exported; the same numbers at each step."""
    expected = own.logits(stored.network, form=form)
    file = lowbitzoo.save(stored, tmp_path / "mine.ckpt")
    np.testing.assert_array_equal(elsewhere(tmp_path, file, made), expected)
    loaded = lowbitzoo.load(file, network=fresh())
    np.testing.assert_array_equal(own.logits(loaded.network, form=form), expected)
    right = expected.argmax(1) == np.arange(6) % own.CLASSES
    found = lowbitzoo.evaluate(loaded, images=own.pictures(6, form.image_size), batch_size=4)
    assert found.samples == 6 and found.correct == right.sum()
    check_prediction(tmp_path, loaded, form, expected)
    check_export(tmp_path, loaded, form, fresh())


def elsewhere(tmp_path, file, made):
    code = ELSEWHERE.format(network=made)
    words = [sys.executable, "-c", code, str(file), str(tmp_path / "logits.npy")]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return np.load(tmp_path / "logits.npy")


def check_prediction(tmp_path, stored, form, expected):
    pictures = own.pictures(6, form.image_size).images
    folder = tmp_path / "pictures"
    folder.mkdir()
    for index, pixels in enumerate(pictures):
        Image.fromarray(pixels).save(folder / f"{index}.png")
    found = lowbitzoo.predict(stored, folder)
    assert [entry.classes[0][0] for entry in found] == [own.NAMES[label] for label in expected.argmax(1)]
    shares = np.exp(expected) / np.exp(expected).sum(1, keepdims=True)
    np.testing.assert_allclose([entry.classes[0][1] for entry in found], shares.max(1), rtol=1e-4)


def check_export(tmp_path, stored, form, fresh):
    images = own.batch(6, form, form.image_size).asnumpy()
    parity = lowbitzoo.export(stored, tmp_path / "mine.mindir", network=fresh, batch_size=6, images=images)
    assert parity.samples == 6
    logits = mindir.decode((tmp_path / "mine.mindir").read_bytes())(images)
    expected = own.logits(stored.network, form=form)
    assert np.median(np.abs(logits - expected).max(1)) <= 0.005 * np.abs(expected).max()


def check_runtime_file(tmp_path, stored):
    images = own.batch(24).asnumpy()
    lowbitzoo.export(stored, tmp_path / "mine.lowbit", images=images)
    expected, found = own.logits(stored.network, 24), runtime.load(tmp_path / "mine.lowbit").logits(images)
    assert np.median(np.abs(found - expected).max(1)) <= 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("method", OPTIONS)
@pytest.mark.parametrize(
    "case", [name if name == "same" else pytest.param(name, marks=pytest.mark.slow) for name in NETWORKS]
)
def test_the_whole_way_of_convolutions(case, method, tmp_path):
    form, fresh = form_of(case), NETWORKS[case]
    network = settled(fresh(), form)
    with execution_mode("pynative"):
        before = own.logits(network, form=form)
        pictures = own.pictures(size=form.image_size)
        stored = lowbitzoo.quantize(network, method, images=pictures, preprocessing=form, **OPTIONS[method])
        if method != "LDNQ":
            assert np.abs(own.logits(stored.network, form=form) - before).max() < 0.9 * np.abs(before).max()
            train(stored.network, form)
            file = lowbitzoo.save(stored, tmp_path / "latent.ckpt", packed=False)
            again = lowbitzoo.load(file, network=fresh())
            expected = own.logits(stored.network, form=form)
            np.testing.assert_array_equal(own.logits(again.network, form=form), expected)
            train(again.network, form, 1)  # training goes on
        whole_way(tmp_path, stored, form, fresh, MADE[case])


@pytest.mark.parametrize(
    "case", [name if name == "same" else pytest.param(name, marks=pytest.mark.slow) for name in own.ADDERS]
)
def test_the_whole_way_of_adder_layers(case, tmp_path):
    fresh = own.ADDERS[case]
    network = settled(fresh(), own.FORM)
    with execution_mode("pynative"):
        train(network, own.FORM)
        before = own.logits(network)
        stored = lowbitzoo.quantize(network, "AdderQuant", images=own.pictures(), preprocessing=own.FORM, bits=8)
        assert np.abs(own.logits(stored.network) - before).max() < 0.1 * np.abs(before).max()
        whole_way(tmp_path, stored, own.FORM, fresh, f"own.ADDERS[{case!r}]()")
        check_runtime_file(tmp_path, stored)


def test_adder_layers_with_negative_inputs(pynative):
    def fresh():
        network = own.same_adders()
        network.act = nn.LeakyReLU(0.3)
        return network

    network = settled(fresh(), own.FORM)
    before = own.logits(network)
    stored = lowbitzoo.quantize(network, "AdderQuant", images=own.pictures(), preprocessing=own.FORM, bits=8)
    assert stored.metadata["settings"]["signed"] == ("first", "second")
    assert np.abs(own.logits(stored.network) - before).max() < 0.1 * np.abs(before).max()


def test_both_modes_agree():
    for method in ("DAMBQ", "ProQHA", "DynamicQuant"):
        logits = []
        for mode in ("graph", "pynative"):
            ms.set_seed(0)
            network = settled(own.SameNet(), own.FORM)
            with execution_mode(mode):
                stored = lowbitzoo.quantize(network, method, images=own.pictures(), preprocessing=own.FORM)
                logits.append(own.logits(stored.network))
        np.testing.assert_allclose(logits[0], logits[1], rtol=1e-5, atol=1e-5)


class Odd(own.SameNet):
    def __init__(self, **cells):
        super().__init__()
        for name, cell in cells.items():
            setattr(self, name, cell)


class Scaled(nn.Conv2d):
    def construct(self, x):
        return 2 * super().construct(x)


@pytest.mark.parametrize("method", [*OPTIONS])
@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (lambda: Odd(body=Scaled(12, 12, 3)), "layer body: expected nn.Conv2d or nn.Dense as it is, found Scaled"),
        (lambda: Odd(unused=nn.Conv2d(3, 3, 3)), "layer unused: expected one that is called"),
        (lambda: Odd(up=nn.Conv2dTranspose(3, 3, 3)), "layer up: expected nn.Conv2d or nn.Dense, found"),
    ],
)
def test_what_cannot_be_quantized_is_named(pynative, method, network, expected):
    with pytest.raises(ConfigError) as caught:
        lowbitzoo.quantize(network(), method, images=own.pictures(), preprocessing=own.FORM, **OPTIONS[method])
    assert expected in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"method": "DAMBQ", "image_size": 3, "preprocessing": own.FORM}, "image_size: expected that of preprocessing"),
        ({"method": "DAMBQ", "class_names": ["a", "b"]}, "class_names: expected 5 different names"),
        ({"method": "DAMBQ", "bit": 3}, "expected options of activation_clip, bits"),
        ({"method": "LDNQ"}, "images: LDNQ quantizes by some training images"),
        ({"method": "AdderQuant", "images": own.pictures()}, "network: expected adder layers"),
        ({"method": "DynamicQuant", "stage": "nowhere"}, "stage: expected a cell with an output"),
    ],
)
def test_wrong_options_end_in_one_line(pynative, options, expected):
    with pytest.raises(ConfigError) as caught:
        lowbitzoo.quantize(own.SameNet(), **{"image_size": own.SIZE, **options})
    assert expected in str(caught.value) and "\n" not in str(caught.value)
