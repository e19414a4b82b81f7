"""Integer layers as tensors and back, for layers of all kinds, and tensors that do not fit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import QuantizationError
from common.quant import packed_layers
from common.quant.integer_weight import ActivationGrid, IntegerLayer, IntegerWeight, one
from common.quant.level_table import DOREFA, SIGNED, UNSIGNED
from common.quant.packed_layers import LayerShape, pack_layers, unpack_layers
from common.quant.packing import packed_size


def weight(rng, shape, table=UNSIGNED, own_bits=False, own_scale=False) -> IntegerWeight:
    """Random integers: a width of all or of each row, among them 0 bits; a scale of all or of each row."""
    low = 0 if own_bits else table.widths[0]
    choice = [low, *table.widths]
    bits = rng.choice(choice, shape[0] if own_bits else 1).astype(np.uint8)
    rows = np.broadcast_to(bits, shape[0])
    counts = [len(table.levels(int(width))) if width else 1 for width in rows]
    numbers = np.stack([rng.integers(0, count, shape[1:]) for count in counts]).astype(np.uint8)
    scale = rng.normal(0, 1, shape[0] if own_scale else 1).astype(np.float32)
    return IntegerWeight(numbers, bits, np.where(rows > 0, scale, 0).astype(np.float32) if own_scale else scale, table)


def grid(rng, channels=1, signed=False) -> ActivationGrid:
    return ActivationGrid(rng.integers(0, 9, channels).astype(np.uint8), rng.random(1).astype(np.float32), signed)


def layers_of(seed: int) -> tuple[dict[str, IntegerLayer], dict[str, LayerShape]]:
    """A network of random layers: of one weight or three candidates, with and without grids and biases."""
    rng, layers, shapes = np.random.default_rng(seed), {}, {}
    for number in range(rng.integers(1, 5)):
        shape = tuple(rng.integers(1, 5, rng.choice([2, 4])).tolist())
        table, channels = (UNSIGNED, SIGNED, DOREFA)[rng.integers(3)], int(rng.integers(1, 4))
        flags = rng.integers(0, 2, 4).astype(bool)
        count = 3 if rng.integers(4) == 0 else 1
        weights = tuple(weight(rng, shape, table, flags[0], flags[1]) for _ in range(count))
        grids = tuple(grid(rng, channels, bool(rng.integers(2))) for _ in range(count if flags[2] else 0))
        bias = weight(rng, shape[:1], table, False, flags[1]) if flags[3] else None
        layers[f"layer{number}"] = IntegerLayer(weights, grids, bias)
        shapes[f"layer{number}"] = LayerShape(shape, channels)
    return layers, shapes


def assert_same(one_weight: IntegerWeight, other: IntegerWeight) -> None:
    assert one_weight.levels is other.levels
    for part in ("codes", "bits", "scale"):
        np.testing.assert_array_equal(getattr(one_weight, part), getattr(other, part))


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_integers_and_scales_come_back(seed):
    layers, shapes = layers_of(seed)
    packed = pack_layers(layers)
    tensors = {"rest": np.ones(1), **packed.tensors}
    again = unpack_layers(tensors, packed.levels, shapes)
    assert list(again) == list(layers) and list(tensors) == ["rest"]
    for name, layer in layers.items():
        assert (len(again[name].weights), len(again[name].grids)) == (len(layer.weights), len(layer.grids))
        for pair in zip(layer.weights, again[name].weights):
            assert_same(*pair)
        for before, after in zip(layer.grids, again[name].grids):
            assert before.signed == after.signed
            np.testing.assert_array_equal(before.bits, after.bits)
            np.testing.assert_array_equal(before.clip, after.clip)
        assert (layer.bias is None) == (again[name].bias is None)
        if layer.bias is not None:
            assert_same(layer.bias, again[name].bias)


def candidates(bits: tuple[int, ...], count: int = 20_000) -> IntegerLayer:
    """A layer of DoReFa candidates of the same weights, which lie all over [-1, 1]."""
    values = np.random.default_rng(5).uniform(-1, 1, (20, count // 20))
    codes = [np.rint((values + 1) / 2 * (2**width - 1)).astype(np.uint8) for width in bits]
    weights = tuple(
        IntegerWeight(code, one(width, np.uint8), one(1, np.float32), DOREFA) for code, width in zip(codes, bits)
    )
    return IntegerLayer(weights, tuple(ActivationGrid(weight.bits, one(1, np.float32)) for weight in weights))


@pytest.mark.parametrize("bits, cells, width", [((2, 3, 4), 22, 5), ((3, 4, 5), 52, 6), ((7, 8), 379, None)])
def test_candidates_of_the_same_weights_share_their_codes(bits, cells, width):
    layer = candidates(bits)
    rows = np.stack([weight.codes.ravel() for weight in layer.weights])
    assert len(np.unique(rows, axis=1).T) == cells  # of 2^k - 1 borders each, some the same or nearly
    packed = pack_layers({"layer": layer})
    stored = {name: value.size for name, value in packed.tensors.items() if name.startswith("codes")}
    assert stored == ({f"codes_{width}": 20_000} if width else {f"codes_{own}": 20_000 for own in bits})
    tensors = dict(packed.tensors)
    again = unpack_layers(tensors, packed.levels, {"layer": LayerShape((20, 1000))})["layer"]
    assert not tensors and len(again.weights) == len(layer.weights) == len(again.grids)
    for pair in zip(layer.weights, again.weights):
        assert_same(*pair)


def test_candidates_stored_apart_can_be_read(monkeypatch):
    """Files written before candidates were joined."""
    layer = candidates((2, 3, 4))
    monkeypatch.setattr(packed_layers, "join", lambda weights: None)
    packed = pack_layers({"layer": layer})
    assert {"codes_2", "codes_3", "codes_4"} < set(packed.tensors) and "cells" not in packed.tensors
    again = unpack_layers(dict(packed.tensors), packed.levels, {"layer": LayerShape((20, 1000))})["layer"]
    for pair in zip(layer.weights, again.weights):
        assert_same(*pair)


@pytest.mark.parametrize("fault", ["number", "code", "cells"])
def test_joint_candidates_that_do_not_fit_are_refused(fault):
    packed = pack_layers({"layer": candidates((2, 3, 4))})
    tensors = {name: value.copy() for name, value in packed.tensors.items()}
    if fault == "number":
        tensors["codes_5"][7] = 22  # of 22 cells
    elif fault == "code":
        tensors["cells"][1] = 4  # of 2 bits
    else:
        tensors["cells"][0] += 1
    with pytest.raises(QuantizationError):
        unpack_layers(tensors, packed.levels, {"layer": LayerShape((20, 1000))})


def example() -> tuple[dict[str, IntegerLayer], dict[str, LayerShape]]:
    rng = np.random.default_rng(3)
    layers = {
        "a": IntegerLayer((weight(rng, (4, 2, 3, 3), UNSIGNED, True, True),), (grid(rng, 2),)),
        "b": IntegerLayer((weight(rng, (3, 4), SIGNED),), (grid(rng),), weight(rng, (3,), SIGNED)),
    }
    return layers, {"a": LayerShape((4, 2, 3, 3), 2), "b": LayerShape((3, 4))}


def test_every_code_takes_as_many_bits_as_it_has():
    rng = np.random.default_rng(0)
    three = IntegerWeight(rng.integers(0, 8, (5, 7)).astype(np.uint8), one(3, np.uint8), one(1, np.float32), UNSIGNED)
    packed = pack_layers({"layer": IntegerLayer((three,))})
    assert packed.widths["codes_3"] == 3 and packed.tensors["codes_3"].size == 35
    assert packed_size(35, 3) == 14 and "codes_2" not in packed.tensors and "clips" not in packed.tensors


@pytest.mark.parametrize("change", ["short", "long", "missing", "type", "shape"])
def test_tensors_that_do_not_fit_are_refused(change):
    layers, shapes = example()
    packed = pack_layers(layers)
    for name, value in packed.tensors.items():
        changed = {
            "short": value[:-1],
            "long": np.append(value, value[:1]),
            "missing": None,
            "type": value.astype(np.float64),
            "shape": value[None],
        }[change]
        tensors = {**packed.tensors, name: changed}
        if changed is None:
            del tensors[name]
        with pytest.raises(QuantizationError):
            unpack_layers(tensors, packed.levels, shapes)


def test_other_layers_and_tables_are_refused():
    layers, shapes = example()
    packed = pack_layers(layers)
    for levels in (packed.levels[:1], ["none", *packed.levels[1:]]):
        with pytest.raises(QuantizationError):
            unpack_layers(dict(packed.tensors), levels, shapes)
    for other in ({**shapes, "c": LayerShape((2, 2))}, {"a": shapes["a"]}, {**shapes, "b": LayerShape((3, 5))}):
        with pytest.raises(QuantizationError):
            unpack_layers(dict(packed.tensors), packed.levels, other)


@pytest.mark.parametrize("name", ["bits", "layout"])
def test_numbers_beyond_their_range_are_refused(name):
    layers, shapes = example()
    packed = pack_layers(layers)
    for place in range(packed.tensors[name].size):
        value = packed.tensors[name].copy()
        value[place] = 15
        with pytest.raises(QuantizationError):
            unpack_layers({**packed.tensors, name: value}, packed.levels, shapes)
