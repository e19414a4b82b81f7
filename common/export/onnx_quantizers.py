r"""The ONNX nodes of DoReFa weights and PACT inputs: the same float32 operations in the same order, so the same values.

=============  ========================================================================================
weights        :math:`g\,(2 q / s - 1)`, s = 2^k - 1: DequantizeLinear of the codes q (UINT4 up to 4
               bits, else UINT8) with the exact scale 2, then Div, Sub, Mul
inputs         :math:`\mathrm{round}(\mathrm{clip}(x, 0, a) \cdot (s / a)) \cdot (a / s)`: Clip, Mul,
               QuantizeLinear to UINT8 with the exact scale 1, DequantizeLinear with the scale a / s
=============  ========================================================================================

QuantizeLinear with the scale a / s would divide by it where PACT multiplies by s / a: the two differ in the last bit,
and then in the level of values half-way between two. Both round half to even. After Clip no value reaches beyond the
code s, so that QuantizeLinear has nothing to saturate.
"""

import numpy as np
from mindspore import Parameter, nn

from common.export.onnx_graph import GraphBuilder, Symbol
from common.export.onnx_layers import express
from common.quant.dorefa import DOREFA_ZERO, DoReFaWeight, dorefa_codes
from common.quant.frozen_weight import FrozenWeight
from common.quant.grid_conv import GridConv2d
from common.quant.integer_weight import IntegerWeight
from common.quant.layers import QuantConv2d, QuantDense
from common.quant.level_table import DOREFA
from common.quant.pact import SMALLEST_CLIP, PACTActivation

_WEIGHT = ".quantize_weight"  # place of a quantizer in its layer


@express.register(DoReFaWeight)
@express.register(FrozenWeight)
def _(cell: nn.Cell, graph: GraphBuilder, weight: Parameter) -> Symbol:
    return _dequantized(graph, graph.integers[graph.place.removesuffix(_WEIGHT)].weights[0])


def _dequantized(graph: GraphBuilder, weight: IntegerWeight) -> Symbol:
    """Nodes of a weight of one width: DoReFa's, or levels that are whole numbers."""
    bits = int(weight.bits[0])
    if weight.levels not in (DOREFA, DOREFA_ZERO):
        return graph.dequantized(weight.levels.levels(bits)[weight.codes], weight.scale)
    doubled = graph.dequantized(dorefa_codes(weight), 2.0)
    values = graph.add(
        "Mul", graph.add("Sub", graph.add("Div", doubled, np.float32(2**bits - 1)), 1.0), weight.scale[0]
    )
    if weight.levels is DOREFA:
        return values
    return graph.add("Mul", values, graph.dequantized(weight.dequantize() != 0, 1.0))  # pruned weights are 0


@express.register
def _(cell: GridConv2d, graph: GraphBuilder, x: Symbol) -> Symbol:
    return QuantConv2d.construct(cell, x)  # runtimes make whole numbers of it themselves


@express.register
def _(cell: QuantDense, graph: GraphBuilder, x: Symbol) -> Symbol:
    weight = cell.weight if cell.quantize_weight is None else cell.quantize_weight(cell.weight)
    x = x if cell.quantize_input is None else cell.quantize_input(x)
    # One Gemm: onnxruntime 1.20 makes an operator of its own of DequantizeLinear, Transpose and MatMul, which takes
    # negative whole numbers for 0.
    return graph.add("Gemm", x, weight, *([cell.bias] if cell.has_bias else []), transB=1)


@express.register
def _(cell: PACTActivation, graph: GraphBuilder, x: Symbol) -> Symbol:
    clip = np.maximum(cell.clip.asnumpy()[0], np.float32(SMALLEST_CLIP))
    steps = np.float32(2 ** int(cell.bits.asnumpy()[0]) - 1)
    if cell.signed:
        x = graph.add("Mul", graph.add("Add", x, clip), 0.5)
    scaled = graph.add("Mul", graph.add("Clip", x, 0.0, clip), steps / clip)
    codes = graph.add("QuantizeLinear", scaled, np.float32(1), np.uint8(0))
    y = graph.add("DequantizeLinear", codes, clip / steps, np.uint8(0))
    return graph.add("Sub", graph.add("Mul", y, 2.0), clip) if cell.signed else y
