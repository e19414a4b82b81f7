"""Steps that a benchmark's tests let take turns; imported in the processes of the candidates."""

import os
import time
from pathlib import Path


def idle(**_):
    return lambda: time.sleep(0.001)


def variable(name, expected, **_):
    assert os.environ.get(name) == expected
    return lambda: print("what a step prints is no answer")


def of_tree(folder, **_):
    import common

    assert Path(common.__file__).parents[1] == Path(folder)
    return lambda: None


def broken(**_):
    raise ValueError("no such network")


def slow(**_):
    return lambda: time.sleep(60)
