"""The networks of the zoo as ONNX models: the same logits in onnxruntime."""

import numpy as np
import pytest
from export_tiny import Tiny, images, seeded
from mindspore import Tensor, nn, ops

from common.errors import ExportError
from common.kernels.custom import without_native
from common.models.registry import MODELS

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
onnx_model = pytest.importorskip("common.export.onnx_model")

# One of each description; deeper ones repeat the same blocks.
SMALL = ["resnet20", "preact_resnet20", "vgg_small", "vgg16", "mobilenet_v2_cifar", "densenet40", "densenet100"]
IMAGENET = ["resnet18", "resnet50", "mobilenet_v2"]


pytestmark = pytest.mark.usefixtures("pynative")


def plain(build, *args) -> nn.Cell:
    with without_native():
        return seeded(build(*args))


@pytest.mark.parametrize("name", SMALL + IMAGENET)
def test_every_network_of_the_registry_has_the_same_logits(name):
    size = 64 if name in IMAGENET else 32
    network, batch = plain(MODELS[name].build, 7), images(2, size)
    expected = network(Tensor(batch)).asnumpy()
    logits = onnx_model.decode(onnx_model.encode(network, size, 7), 1)(batch)
    assert logits.shape == (2, 7)
    np.testing.assert_allclose(logits, expected, rtol=0, atol=2e-5 * np.abs(expected).max())


def test_the_model_takes_any_number_of_images_and_says_what_it_is():
    network = plain(Tiny)
    content = onnx_model.encode(network, 16, 10, {"network": "Tiny"})
    run, batch = onnx_model.decode(content, 1), images(5, 16)
    np.testing.assert_allclose(run(batch)[:1], run(batch[:1]), atol=1e-5)
    model = onnx.load_model_from_string(content)
    assert {entry.key: entry.value for entry in model.metadata_props} == {"network": "Tiny"}
    assert model.opset_import[0].version == 13
    shape = model.graph.input[0].type.tensor_type.shape.dim
    assert [shape[0].dim_param, *(dim.dim_value for dim in shape[1:])] == ["N", 3, 16, 16]
    assert "layer1.1.conv2.Conv" in {node.name for node in model.graph.node}
    assert len({node.name for node in model.graph.node}) == len(model.graph.node)


class Unknown(nn.Cell):
    def __init__(self, cell=None):
        super().__init__()
        self.cell = cell

    def construct(self, x):
        return ops.softmax(x, 1) if self.cell is None else self.cell(x)


@pytest.mark.parametrize(
    "network, expected",
    [
        (nn.SequentialCell(nn.Softmax()), "no nodes are known for Softmax in 0; take MINDIR"),
        (nn.SequentialCell(Unknown()), "no nodes are known for softmax; take MINDIR"),
        (
            Unknown(nn.Conv2d(3, 4, 3, 2, dilation=2)),
            "cell: expected no dilation where padding follows the image's size, found (2, 2); take MINDIR",
        ),
    ],
)
def test_what_has_no_nodes_is_refused_in_one_line(network, expected):
    with pytest.raises(ExportError, match="ONNX: ") as caught:
        onnx_model.encode(network, 8, 4)
    assert expected in str(caught.value) and "\n" not in str(caught.value)
    assert nn.ReLU()(Tensor(np.array([-1.0, 2.0], np.float32))).asnumpy().tolist() == [0, 2]  # cells work as before
