"""Threads that wait for the next loop: several callers at once, processes made by fork(), loops of all sizes."""

import multiprocessing
from concurrent.futures import ThreadPoolExecutor

import conv_oracle as oracle
import numpy as np
import pytest
from conv_calls import call_all

SIZE = (9, 8, 6, 7, 8, 3, 3, 1, 1)


def convolved(library):
    return call_all(library, "Conv", *oracle.sample(*SIZE), *SIZE[7:])


def same(found, expected):
    return all(np.array_equal(*pair) for pair in zip(found, expected, strict=True))


def test_callers_at_the_same_time(library, threads):
    threads(1)
    expected = convolved(library)
    threads(3)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: convolved(library), range(80)))
    assert all(same(found, expected) for found in results)


def test_more_and_fewer_helpers_from_loop_to_loop(library, threads):
    threads(1)
    expected = convolved(library)
    for count in (2, 5, 1, 3, 2, 7):
        threads(count)
        assert same(convolved(library), expected)


def _in_child(library, expected, verdict):
    verdict.put(same(convolved(library), expected))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of fork() in a process of several threads
def test_a_forked_process_has_helpers_of_its_own(library, threads):
    threads(3)
    expected = convolved(library)
    context = multiprocessing.get_context("fork")
    verdict = context.Queue()
    child = context.Process(target=_in_child, args=(library, expected, verdict))
    child.start()
    assert verdict.get(timeout=60)
    child.join(60)
    assert child.exitcode == 0
    assert same(convolved(library), expected)
