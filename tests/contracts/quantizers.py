"""The quantizers of all methods, each with what a contract needs to know of it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from mindspore import Parameter, Tensor, nn

from AdderQuant.quant import QuantAdder2d, quantize_adder
from common.quant.dorefa import DoReFaWeight, dorefa
from common.quant.integer_weight import IntegerWeight
from common.quant.pact import PACTActivation, pact
from DAMBQ.quant import EightBitWeight, MultiBitWeight, UniformActivation
from DAMBQ.tables import LEVELS
from DynamicQuant.quant import CandidateWeights
from LDNQ.levels import LEVEL_COUNTS, TABLES, code_bits, project, to_codes

CLIP = 1.7
SHAPE = (6, 4, 3, 3)


def set_bits(cell: nn.Cell, bits: int) -> nn.Cell:
    """Give all channels of a quantizer these bits."""
    cell.bits.set_data(Tensor(np.full(cell.bits.shape, bits, np.int32)))
    return cell


def named(cell: nn.Cell) -> nn.Cell:
    """Parameters named by their places, as in a network."""
    for name, parameter in cell.parameters_and_names():
        parameter.name = name
    return cell.set_train(False)


@dataclass(frozen=True)
class WeightCase:
    """A weight quantizer at some bits.

    Attributes:
        name: of the case.
        bits: width of its codes.
        values: weights (F, ...) to the quantized ones, as the network computes them.
        integers: of the same weights.
        reference: the quantized weights by NumPy.
    """

    name: str
    bits: int
    values: Callable[[np.ndarray], np.ndarray]
    integers: Callable[[np.ndarray], IntegerWeight]
    reference: Callable[[np.ndarray], np.ndarray]


def _dorefa(bits: int) -> WeightCase:
    cell = named(set_bits(DoReFaWeight(), bits))

    def fitted(weight: np.ndarray) -> DoReFaWeight:
        cell.fit(weight, bits)
        return cell

    return WeightCase(
        f"DoReFa-{bits}",
        bits,
        lambda w: fitted(w)(Tensor(w)).asnumpy(),
        lambda w: fitted(w).to_int(w),
        lambda w: fitted(w).scale.asnumpy() * dorefa(w, bits),
    )


def _candidate(number: int, widths: tuple[int, ...]) -> WeightCase:
    def cell(weight: np.ndarray) -> CandidateWeights:
        return named(CandidateWeights(weight, widths))

    def reference(weight: np.ndarray) -> np.ndarray:
        return cell(weight).scale.asnumpy()[number] * dorefa(weight, widths[number])

    return WeightCase(
        f"DynamicQuant-{widths[number]}",
        widths[number],
        lambda w: cell(w)(Tensor(w)).asnumpy()[number],
        lambda w: cell(w).to_int(w)[number],
        reference,
    )


def _multi_bit(table: str, bits: int) -> WeightCase:
    def cell(weight: np.ndarray) -> MultiBitWeight:
        made = set_bits(MultiBitWeight(weight, 4, table), bits)
        made.reset_scale(weight)
        return named(made)

    def reference(weight: np.ndarray) -> np.ndarray:
        levels, scale = LEVELS[table].levels(bits), cell(weight).scale.asnumpy().reshape(-1, 1, 1, 1, 1)
        points = scale * levels  # (F, 1, 1, 1, n)
        nearest = np.abs(weight[..., None] - points).argmin(-1)
        return np.take_along_axis(np.broadcast_to(points, (*weight.shape, len(levels))), nearest[..., None], -1)[..., 0]

    return WeightCase(
        f"DAMBQ-{table}-{bits}", bits, lambda w: cell(w)(Tensor(w)).asnumpy(), lambda w: cell(w).to_int(w), reference
    )


def _eight_bit() -> WeightCase:
    def reference(weight: np.ndarray) -> np.ndarray:
        scale = np.abs(weight).max((1, 2, 3), keepdims=True).astype(np.float64) / 127
        return np.rint(weight / scale) * scale

    cell = EightBitWeight()
    return WeightCase("DAMBQ-ends", 8, lambda w: cell(Tensor(w)).asnumpy(), EightBitWeight.to_int, reference)


def _levels(count: int) -> WeightCase:
    def integers(weight: np.ndarray) -> IntegerWeight:
        projected = project(weight.reshape(len(weight), -1).astype(np.float64), count, per_channel=True)
        codes = to_codes(projected.levels, count).reshape(weight.shape)
        bits = np.array([code_bits(count)], np.uint8)
        return IntegerWeight(codes, bits, projected.scale.ravel().astype(np.float32), TABLES[count])

    def reference(weight: np.ndarray) -> np.ndarray:
        return project(weight.reshape(len(weight), -1).astype(np.float64), count, per_channel=True).values.reshape(
            weight.shape
        )

    return WeightCase(f"LDNQ-{count}", code_bits(count), lambda w: integers(w).dequantize(), integers, reference)


def _adder(scheme: str, bits: int) -> WeightCase:
    def layer(weight: np.ndarray) -> QuantAdder2d:
        made = QuantAdder2d(weight.shape[1], len(weight), weight.shape[2])
        made.set_codes(*quantize_adder(weight, 2.0, bits, 2, scheme))
        return made

    def values(weight: np.ndarray) -> np.ndarray:
        made = layer(weight)
        return made.codes.asnumpy() * made.steps.asnumpy()[made.group.asnumpy()].reshape(-1, 1, 1, 1)

    return WeightCase(f"AdderQuant-{scheme}-{bits}", bits, values, lambda w: layer(w).to_int(), values)


WEIGHTS = [
    *(_dorefa(bits) for bits in (2, 3, 4, 8)),
    *(_candidate(number, (2, 3, 4)) for number in range(3)),
    *(_multi_bit(table, bits) for table in ("v2", "v1-cifar") for bits in (1, 2, 3, 4)),
    _eight_bit(),
    *(_levels(count) for count in LEVEL_COUNTS),
    *(_adder(scheme, bits) for scheme in ("two-sided", "paper") for bits in (2, 4, 8)),
]


@dataclass(frozen=True)
class ActivationCase:
    """An activation quantizer.

    Attributes:
        name: of the case.
        make: bits to the cell, for 4 channels.
        signed: whether its levels reach below 0.
        reference: values and bits to the quantized ones by NumPy.
    """

    name: str
    make: Callable[[int], nn.Cell]
    signed: bool
    reference: Callable[[np.ndarray, int], np.ndarray]

    def clip(self, cell: nn.Cell) -> Parameter:
        """The parameter that its levels end at."""
        return cell.clip


def _uniform(values: np.ndarray, bits: int) -> np.ndarray:
    steps = 2**bits - 1
    return np.rint(np.clip(values.astype(np.float64), 0, CLIP) * steps / CLIP) * CLIP / steps


ACTIVATIONS = [
    ActivationCase("PACT", lambda bits: PACTActivation(bits, CLIP), False, lambda x, k: pact(x, k, CLIP)),
    ActivationCase(
        "PACT-signed", lambda bits: PACTActivation(bits, CLIP, True), True, lambda x, k: pact(x, k, CLIP, True)
    ),
    ActivationCase("DAMBQ", lambda bits: UniformActivation(4, bits, CLIP, allocated=False), False, _uniform),
]
