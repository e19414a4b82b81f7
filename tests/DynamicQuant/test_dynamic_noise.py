"""The noise that a saved network continues."""

import numpy as np
import pytest
from mindspore import Tensor

from common.kernels import native_available
from common.runtime.context import execution_mode
from DynamicQuant.noise import CounterNoise, Dropout

pytestmark = pytest.mark.usefixtures("pynative")


def draws(noise: CounterNoise, calls: int, count: int = 1000) -> np.ndarray:
    return np.stack([noise(count).asnumpy() for _ in range(calls)])


def test_numbers_are_uniform_and_their_neighbours_unrelated():
    numbers = draws(CounterNoise(seed=3), 50, 4000)
    assert 0 < numbers.min() < 1e-4 and 1 - 1e-4 < numbers.max() < 1
    counts = np.histogram(numbers, 100, (0, 1))[0]
    chi2 = ((counts - numbers.size / 100) ** 2 / (numbers.size / 100)).sum()
    assert 60 < chi2 < 150  # 99 degrees of freedom: 99 +- 14
    for shifted in (numbers[:, 1:], numbers[1:, :]):  # the next place, the next draw
        before = numbers[: shifted.shape[0], : shifted.shape[1]]
        assert abs(np.corrcoef(before.ravel(), shifted.ravel())[0, 1]) < 0.01


def test_a_generator_goes_on_where_its_state_was_saved():
    wanted = draws(CounterNoise(seed=3), 4)
    first, second = CounterNoise(seed=3), CounterNoise(seed=9)
    draws(first, 2)
    second.state.set_data(Tensor(first.state.asnumpy()))
    np.testing.assert_array_equal(draws(second, 2), wanted[2:])
    assert first.state.asnumpy()[1] == 2


@pytest.mark.parametrize("other", [CounterNoise(4), CounterNoise(3, stream=1)])
def test_seeds_and_streams_differ(other):
    a, b = draws(CounterNoise(seed=3), 3), draws(other, 3)
    assert not np.array_equal(a, b) and abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.06


@pytest.mark.parametrize("seed", [0, 2**32 - 1])
def test_both_modes_draw_the_same_numbers(seed):
    numbers = []
    for name in ("graph", "pynative"):
        with execution_mode(name):
            numbers.append(draws(CounterNoise(seed), 3, 70))
    np.testing.assert_array_equal(*numbers)


def test_dropout_keeps_the_mean_and_is_the_identity_in_evaluation():
    cell, x = Dropout(0.2, seed=1), Tensor(np.ones((200, 100), np.float32))
    cell.set_train(True)
    dropped = cell(x).asnumpy()
    assert set(np.unique(dropped)) == {0, np.float32(1.25)} and dropped.mean() == pytest.approx(1, abs=0.01)
    cell.set_train(False)
    np.testing.assert_array_equal(cell(x).asnumpy(), 1)
    assert cell.noise.state.asnumpy()[1] == 1


@pytest.mark.parametrize("native", [pytest.param(True, id="native"), pytest.param(False, id="fallback")])
@pytest.mark.parametrize("seed", [0, 5, 2**32 - 1])
def test_numbers_are_the_documented_hash(mode, seed, native):
    """In Python's integers, which never overflow."""
    if native and not native_available():
        pytest.skip("needs a C++ compiler")

    def mix(word):
        for multiplier in (0x7FEB352D, 0x2C1B3C6D, 0x297A2D39):
            word = (word ^ (word >> 16)) * multiplier % 2**32
        return word ^ (word >> 16)

    noise = CounterNoise(seed, native=native)
    start = int(noise.state.asnumpy()[0])
    for draw in range(2):
        key = mix((mix(start) + draw) % 2**32)
        words = [mix((key + place * 0x1E3779B1) % 2**32) for place in range(70)]
        wanted = np.array([((word >> 9) + 0.5) / 2**23 for word in words], np.float32)
        np.testing.assert_array_equal(noise(70).asnumpy(), wanted)
