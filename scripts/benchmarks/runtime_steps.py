"""Forward passes in onnxruntime and OpenVINO of PyTorch's networks; run in the peers' environment."""

import io
import warnings

import torch

from benchmarks.runtime_sessions import onnxruntime_session, openvino_request
from benchmarks.torch_models import NETWORKS


def exported(network: str, batch_size: int, side: int) -> tuple[bytes, torch.Tensor]:
    """A network in evaluation as an ONNX file's content, and a batch of images."""
    torch.manual_seed(0)
    model, images, file = NETWORKS[network]().eval(), torch.randn(batch_size, 3, side, side), io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (images,), file, input_names=["images"], output_names=["logits"], dynamo=False)
    return file.getvalue(), images


def onnxruntime_step(network: str, batch_size: int, side: int, threads: int, **_):
    """The forward pass in onnxruntime, float32."""
    content, images = exported(network, batch_size, side)
    session, feed = onnxruntime_session(content, threads), {"images": images.numpy()}
    return lambda: session.run(None, feed)[0]


def openvino_step(network: str, batch_size: int, side: int, threads: int, **_):
    """The forward pass in OpenVINO, float32."""
    content, images = exported(network, batch_size, side)
    request, feed = openvino_request(content, threads), {"images": images.numpy()}
    return lambda: request.infer(feed)["logits"]
