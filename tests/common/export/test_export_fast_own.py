"""The fast form of networks as users write them, by lowbitzoo.export."""

import numpy as np
import pytest
from own_networks import CLASSES, FORM, SIZE, DilatedNet
from test_lowbit_own import EveryLayer, packed

import lowbitzoo
from common.errors import ConfigError, ExportError

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
onnx_model = pytest.importorskip("common.export.onnx_model")
pytestmark = pytest.mark.usefixtures("pynative")


def pictures(count=24):
    return np.random.default_rng(0).normal(0, 1, (count, 3, SIZE, SIZE)).astype(np.float32)


@pytest.mark.parametrize(
    "method, options",
    [("ProQHA", {"bits": 8}), pytest.param("DAMBQ", {"bits": 4, "table": "int8"}, marks=pytest.mark.slow)],
)
def test_a_file_of_every_layer_and_its_difference(method, options, tmp_path):
    stored = packed(EveryLayer, tmp_path, method, **options)
    network = stored.network.set_train(False)
    parity = lowbitzoo.export(stored, tmp_path / "mine.onnx", images=pictures(), form="fast")
    logits = onnx_model.decode((tmp_path / "mine.onnx").read_bytes(), 1)(pictures())
    expected = np.concatenate([network(image).asnumpy() for image in tensors()])
    assert logits.shape == (24, CLASSES) and parity.samples == 24
    assert parity.same_top_1 == (logits.argmax(1) == expected.argmax(1)).sum() >= 22
    assert parity.typical == pytest.approx(np.median(np.abs(logits - expected).max(1)), abs=1e-5)
    assert 0 < parity.typical < 0.1 * parity.largest


def tensors():
    from mindspore import Tensor

    return [Tensor(image) for image in np.split(pictures(), 24)]


@pytest.mark.parametrize(
    "words, expected",
    [
        ({"form": "quick", "images": pictures(8)}, "form: expected exact or fast, found 'quick'"),
        ({"form": "fast"}, "images: expected some for the fast form, which takes the ranges of sums from them"),
    ],
)
def test_wrong_words_are_refused(words, expected, tmp_path):
    stored = packed(EveryLayer, tmp_path, bits=4)
    with pytest.raises(ConfigError) as caught:
        lowbitzoo.export(stored, tmp_path / "mine.onnx", **words)
    assert str(caught.value) == expected
    with pytest.raises(ConfigError, match="form: fast is one of ONNX files, found a name"):
        lowbitzoo.export(stored, tmp_path / "mine.mindir", form="fast", images=pictures(8))


def test_what_has_no_fast_form_is_refused_with_the_layers_name(tmp_path):
    latent = lowbitzoo.quantize(EveryLayer(), "ProQHA", preprocessing=FORM, bits=4)
    for stored, expected in (
        (latent, "expected a packed network, found a latent one"),
        (
            packed(DilatedNet, tmp_path, bits=4),
            "form: features.2 is a HSwish, which is not among its instructions; take --form exact",
        ),
        (packed(EveryLayer, tmp_path, "DAMBQ", bits=4, table="v2"), "levels of the table v2 are no 8-bit integers"),
    ):
        with pytest.raises(ExportError, match=expected):
            lowbitzoo.export(stored, tmp_path / "mine.onnx", images=pictures(8), form="fast")
    assert not (tmp_path / "mine.onnx").exists()
