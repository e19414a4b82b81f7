import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from common.errors import QuantizationError
from common.quant.packing import pack, packed_size, unpack


def pack_by_definition(codes, bits):
    """Python's integers as the bit stream: code i adds c * 2**(i * bits)."""
    number = sum(int(code) << (i * bits) for i, code in enumerate(codes.ravel()))
    return np.frombuffer(number.to_bytes(-(-codes.size * bits // 8), "little"), np.uint8)


def random_codes(bits, shape):
    return np.random.default_rng(bits).integers(0, 2**bits, shape).astype(np.uint8)


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("size", [0, 1, 2, 3, 5, 7, 8, 9, 15, 17, 63, 1001])
def test_bytes_and_round_trip_at_awkward_sizes(bits, size):
    codes = random_codes(bits, size)
    packed = pack(codes, bits)
    assert packed.dtype == np.uint8
    assert packed.shape == (-(-size * bits // 8),) == (packed_size(size, bits),)
    np.testing.assert_array_equal(packed, pack_by_definition(codes, bits))
    np.testing.assert_array_equal(unpack(packed, bits, (size,)), codes)


def test_diagram_of_the_docstring():
    a, b, c, d, e, f, g, h = range(8)
    first = (c & 3) << 6 | b << 3 | a
    second = (f & 1) << 7 | e << 4 | d << 1 | c >> 2
    third = h << 5 | g << 2 | f >> 1
    np.testing.assert_array_equal(pack(np.arange(8, dtype=np.uint8), 3), [first, second, third])


@pytest.mark.parametrize("bits", range(1, 9))
def test_largest_code_of_each_width(bits):
    codes = np.full((3, 5), 2**bits - 1, np.uint8)
    np.testing.assert_array_equal(unpack(pack(codes, bits), bits, (3, 5)), codes)
    if bits < 8:
        codes[2, 4] = 2**bits
        with pytest.raises(QuantizationError, match=rf"0\.\.{2**bits - 1} for {bits} bits, found {2**bits}"):
            pack(codes, bits)


@given(st.integers(1, 8).flatmap(lambda bits: st.tuples(st.just(bits), _codes(bits))))
@settings(max_examples=100, deadline=None)
def test_round_trip(case):
    bits, codes = case
    result = unpack(pack(codes, bits), bits, codes.shape)
    assert result.shape == codes.shape
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result, codes)


def _codes(bits):
    shapes = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=9)
    return hnp.arrays(np.uint8, shapes, elements=st.integers(0, 2**bits - 1))


def test_order_is_that_of_the_shape_not_of_the_memory():
    codes = random_codes(5, (4, 6))
    np.testing.assert_array_equal(pack(codes.T, 5), pack(np.ascontiguousarray(codes.T), 5))
    np.testing.assert_array_equal(unpack(pack(codes[:, ::2], 5), 5, (4, 3)), codes[:, ::2])


def test_result_is_the_callers_own():
    packed = pack(random_codes(8, 10), 8)
    before = packed.copy()
    unpack(packed, 8, (10,))[:] = 0
    np.testing.assert_array_equal(packed, before)


@pytest.mark.parametrize("bits", [0, 9, -1, 2.0, True, None, "4"])
def test_width_out_of_range(bits):
    with pytest.raises(QuantizationError, match="1 to 8 bits"):
        pack(np.zeros(3, np.uint8), bits)
    with pytest.raises(QuantizationError, match="1 to 8 bits"):
        unpack(np.zeros(3, np.uint8), bits, (3,))


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.float32, np.bool_])
def test_codes_of_another_type(dtype):
    with pytest.raises(QuantizationError, match="expected uint8 codes"):
        pack(np.zeros(3, dtype), 4)


@pytest.mark.parametrize("shape", [(8,), (10,), (2**40, 2**40), (-1, -9), (3.0, 3), (True, 9)])
def test_shape_that_is_not_the_packed_one(shape):
    packed = pack(random_codes(7, (9,)), 7)
    with pytest.raises(QuantizationError, match="expected"):
        unpack(packed, 7, shape)


def test_packed_data_of_another_form():
    packed = pack(random_codes(3, (5,)), 3)
    for wrong in (packed.astype(np.int32), packed[:, None], packed[:-1]):
        with pytest.raises(QuantizationError, match="packed bytes"):
            unpack(wrong, 3, (5,))


def test_bits_behind_the_last_code_are_damage():
    packed = pack(random_codes(3, (5,)), 3)
    packed[-1] |= 0x80
    with pytest.raises(QuantizationError, match="damaged"):
        unpack(packed, 3, (5,))
