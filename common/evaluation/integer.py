"""A network's integer program as a cell that evaluation takes in the network's place."""

import numpy as np
from mindspore import Parameter, Tensor, nn, ops
from mindspore import dtype as mstype

from common.distributed import processors
from common.engine.compiler import compile_network
from common.engine.description import Description
from common.engine.layout import Program
from common.engine.library import instruction_sets, library_file
from common.engine.run import INTERPRETER, run, set_threads

_OPERATOR = "RunProgramOperator"


class IntegerNetwork(nn.Cell):
    """``construct(images)``: (N, C, H, W) float32 to logits (N, classes), by the engine's operator.

    Where images choose, to a pair: logits, and masks (N, L, K), one-hot: the candidate of each of L decisions.

    Where the operator cannot be had, the interpreter computes the same bits, slowly, in PYNATIVE mode alone.

    Args:
        description: of the network.

    Attributes:
        program: what is computed.
        instruction_set: of the processor, or ``interpreter``.

    Raises:
        QuantizationError: integers whose bounds cannot be met.
    """

    def __init__(self, description: Description):
        super().__init__()
        self.program: Program = compile_network(description)
        loaded = library_file()
        self.instruction_set = instruction_sets(loaded[1])[0] if loaded else INTERPRETER
        self.operator = _operator(str(loaded[0]), self.program.header) if loaded else None
        self.classes, self.decisions = (self.program.header[field] for field in ("classes", "decisions"))
        self.candidates = max(instruction["candidates"] for instruction in self.program.instructions)
        self.on, self.off = Tensor(1.0, mstype.float32), Tensor(0.0, mstype.float32)
        if processors.is_limited():
            set_threads(processors.count())
        arrays = (self.program.words, self.program.weights, self.program.constants)
        self.words, self.weights, self.constants = (Parameter(Tensor(_some(a)), requires_grad=False) for a in arrays)

    def construct(self, images):
        result = self.computed(images)
        if self.decisions == 0:
            return result
        return result[:, : self.classes], ops.one_hot(
            result[:, self.classes :].astype(mstype.int32), self.candidates, self.on, self.off
        )

    def computed(self, images):
        """Logits and choices, (N, classes + L)."""
        if self.operator is None:
            return Tensor(run(self.program, images.asnumpy()))
        return self.operator(images, self.words, self.weights, self.constants)


def _some(array: np.ndarray) -> np.ndarray:
    """Tensors must not be empty."""
    return array if array.size else np.zeros(1, array.dtype)


def _operator(path: str, header: dict[str, int]) -> ops.Custom:
    shape, classes = [header["channels"], header["height"], header["width"]], header["classes"] + header["decisions"]

    def infer(images, *_):
        if list(images[1:]) != shape:
            raise ValueError(f"integer engine: expected images (N, {shape}), found {images}")
        return [images[0], classes]

    made = ops.Custom(f"{path}:{_OPERATOR}", infer, lambda *_: mstype.float32, func_type="aot")
    # PYNATIVE mode remembers shapes by function, input shapes and attributes, see common.kernels.custom.
    made.add_prim_attr("rule", f"{classes} classes")
    return made
