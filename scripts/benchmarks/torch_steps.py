"""Steps in PyTorch, eager, channels_last and compiled; imported in the peers' environment, without MindSpore."""

import torch
from torch._inductor import config as inductor
from torch.nn import functional

from benchmarks.torch_models import NETWORKS


def step(network: str, training: bool, batch_size: int, side: int, threads: int, form: str):
    """A step of training (forward, cross-entropy, backward, SGD) or the forward pass of evaluation.

    Args:
        network: name in ``NETWORKS``.
        training: whether the step is one of training.
        batch_size: images per step.
        side: height and width of an image.
        threads: threads to compute with.
        form: ``eager``, ``channels_last`` or ``compiled`` (forward passes with constants folded, its ``freezing``).
    """
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    layout = torch.channels_last if form == "channels_last" else torch.contiguous_format
    model = NETWORKS[network]().train(training).to(memory_format=layout)
    images = torch.randn(batch_size, 3, side, side).contiguous(memory_format=layout)
    inductor.freezing = not training
    call = torch.compile(model) if form == "compiled" else model
    return _training(model, call, images) if training else _evaluation(call, images)


def _evaluation(call, images):
    def forward():
        with torch.inference_mode():
            return call(images).numpy()

    return forward


def _training(model, call, images):
    labels = torch.randint(10, (len(images),))
    optimizer = torch.optim.SGD(model.parameters(), 0.01, 0.9, weight_decay=1e-4)

    def train() -> float:
        optimizer.zero_grad()
        loss = functional.cross_entropy(call(images), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return train
