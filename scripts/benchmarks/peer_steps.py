"""Steps in other libraries, imported when a step is made: this file needs neither them nor MindSpore."""


def torch_step(**arguments):
    """A step in PyTorch, see :func:`benchmarks.torch_steps.step`."""
    from benchmarks.torch_steps import step

    return step(**arguments)


def runtime_step(runtime: str, **arguments):
    """A forward pass in ``onnxruntime`` or ``openvino``."""
    from benchmarks import runtime_steps

    return getattr(runtime_steps, f"{runtime}_step")(**arguments)


def torch_images(**arguments):
    """A pass over a folder of images by PyTorch's DataLoader, see :func:`benchmarks.torch_images.step`."""
    from benchmarks.torch_images import step

    return step(**arguments)


def int8_step(runtime: str, **arguments):
    """A forward pass at 8 bits in ``onnxruntime`` or ``openvino``."""
    from benchmarks import int8_steps

    return getattr(int8_steps, f"{runtime}_step")(**arguments)
