import numpy as np
import pytest

from common.data.draws import MAX_DRAWS, splitmix64, uniform

GAMMA = 0x9E3779B97F4A7C15
MASK = 2**64 - 1


def test_splitmix64_published_sequence():
    # First outputs of the reference generator for seed 1234567 (Rosetta Code and the authors' C code).
    states = np.array([(1234567 + GAMMA * i) & MASK for i in range(1, 6)], np.uint64)
    expected = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    assert splitmix64(states).tolist() == expected


def test_depends_on_the_image_and_not_on_its_company():
    together = uniform(3, 8, np.arange(50), 5)
    for i in (0, 17, 49):
        assert np.array_equal(uniform(3, 8, np.array([i]), 5)[0], together[i])
    assert np.array_equal(uniform(3, 8, np.array([17, 4]), 5), together[[17, 4]])
    assert np.array_equal(uniform(3, 8, np.arange(50), 2), together[:, :2])


@pytest.mark.parametrize("changed", [(4, 8), (3, 9), (8, 3)])
def test_seed_and_epoch_change_everything(changed):
    assert not np.any(uniform(3, 8, np.arange(50), 5) == uniform(*changed, np.arange(50), 5))


def test_neighbours_share_no_number():
    assert len(np.unique(uniform(0, 0, np.arange(1000), MAX_DRAWS))) == 1000 * MAX_DRAWS


@pytest.mark.parametrize("seed", [0, 1, 2**63])
def test_looks_uniform_and_uncorrelated(seed):
    numbers = uniform(seed, 1, np.arange(20000), 4)
    assert numbers.min() >= 0 and numbers.max() < 1
    for column in numbers.T:
        counts = np.histogram(column, bins=20, range=(0, 1))[0]
        # Chi-square of 19 degrees of freedom: 43.8 is exceeded once in 1000.
        assert ((counts - 1000) ** 2 / 1000).sum() < 43.8
    # Correlations of 20000 pairs have a standard deviation of 0.007.
    following = np.corrcoef(numbers[:-1].T, numbers[1:].T)
    assert np.abs(following - np.eye(8)).max() < 0.03


def test_too_many_columns_would_repeat():
    with pytest.raises(ValueError, match="64"):
        uniform(0, 0, np.arange(2), MAX_DRAWS + 1)
