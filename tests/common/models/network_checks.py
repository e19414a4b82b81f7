"""What the tests of several network descriptions check: logits of PyTorch, finite gradients, both execution modes."""

import mindspore as ms
import numpy as np
from mindspore import nn

from common.checkpoint import network_state
from common.checkpoint.pytorch.names import to_mindspore_names
from common.runtime.context import execution_mode


def images(*shape, seed=0):
    return np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)


def randomise_norms(torch, reference, seed=0):
    """Random statistics and affine parameters of every BatchNorm, of sizes that keep the values moderate."""
    torch.manual_seed(seed)
    for module in reference.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.2, 0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
            torch.nn.init.uniform_(module.weight, 0.5, 1.2)
            torch.nn.init.uniform_(module.bias, -0.2, 0.2)
    return reference.eval()


def take_parameters(network, reference):
    """Give a network all parameters of the PyTorch network, by name."""
    state = {name: tensor.numpy() for name, tensor in reference.state_dict().items()}
    network_state.restore(network, to_mindspore_names(state), "the reference")


def run(cell, x, mode="pynative"):
    """The output of a cell in evaluation."""
    with execution_mode(mode):
        return cell.set_train(False)(ms.Tensor(x)).asnumpy()


def check_logits(torch, network, reference, x, mode="pynative"):
    """Logits of both networks agree to 1e-4 of the largest."""
    with torch.no_grad():
        expected = reference(torch.from_numpy(x)).numpy()
    logits = run(network, x, mode)
    assert logits.shape == expected.shape
    assert np.abs(logits - expected).max() < 1e-4 * np.abs(expected).max()


def check_gradients(network, size, classes):
    """In training every parameter gets a finite gradient that is not 0 everywhere."""
    parameters, loss = network.trainable_params(), nn.CrossEntropyLoss()
    x, labels = ms.Tensor(images(2, 3, size, size)), ms.Tensor(np.array([0, classes - 1], np.int32))

    def forward(x):
        return loss(network(x), labels)

    network.set_train(True)
    with execution_mode("pynative"):
        value, slopes = ms.value_and_grad(forward, None, parameters)(x)
    assert np.isfinite(value.asnumpy()) and len(slopes) == len(parameters)
    wrong = [p.name for p, g in zip(parameters, slopes) if not np.isfinite(g.asnumpy()).all() or not g.asnumpy().any()]
    assert wrong == []


def check_both_modes(cell, x):
    """A cell gives the same in graph mode as in PYNATIVE mode."""
    outputs = [run(cell, x, mode) for mode in ("graph", "pynative")]
    assert np.abs(outputs[0] - outputs[1]).max() <= 1e-5 * np.abs(outputs[1]).max()
    return outputs[1]


def size(network):
    """Number of trainable parameters."""
    return sum(parameter.size for parameter in network.trainable_params())
