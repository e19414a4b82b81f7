"""``examples/classify.c`` against the library, built with a C compiler alone; the same under sanitizers."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from common.data.preprocessing import DIGITS
from common.engine.about import About
from common.engine.builder import Builder
from common.engine.compiler import compile_network
from common.engine.library import SOURCES, library, recipe
from common.engine.runtime_file import encode
from lowbitzoo import runtime
from lowbitzoo.library import put

EXAMPLE = Path(__file__).parents[1] / "examples" / "classify.c"
STRICT = ("-std=c99", "-D_POSIX_C_SOURCE=200809L", "-Wall", "-Wextra", "-Werror", "-pedantic", f"-I{SOURCES}")
SANITIZERS = ("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


@pytest.fixture(scope="module")
def compiler():
    found = shutil.which("cc")
    if found is None or library() is None:
        pytest.skip("needs a C and a C++ compiler")
    return found


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """A file of one float layer on digits: which pixels are bright."""
    rng, builder = np.random.default_rng(0), Builder((3, 32, 32))
    scores = builder.float_conv(builder.image, rng.normal(0, 0.1, (10, 3, 32, 32)).astype(np.float32))
    names = tuple(f"digit {label}" for label in range(10))
    program = compile_network(builder.finish(builder.affine(scores, np.ones(10), np.zeros(10))), plain=True)
    path = tmp_path_factory.mktemp("network") / "net.lowbit"
    path.write_bytes(encode(program, About("one layer", "none", "digits", DIGITS, class_names=names)))
    return path


@pytest.fixture(scope="module", params=["as it is", pytest.param("sanitizers", marks=pytest.mark.slow)])
def classify(request, compiler, tmp_path_factory):
    """Runs the example and returns its status, what it prints, and its errors."""
    folder = tmp_path_factory.mktemp("example")
    program, flags = folder / "classify", (*STRICT, f"-L{folder}", f"-Wl,-rpath,{folder}")
    if request.param == "sanitizers":
        recipe(("-O1", *SANITIZERS)).make(folder / "liblowbit.so")
        flags = (*flags, *SANITIZERS)
    else:
        put(folder)
        assert (folder / "lowbit.h").read_bytes() == (SOURCES / "lowbit.h").read_bytes()
    subprocess.run([compiler, str(EXAMPLE), *flags, "-llowbit", "-o", str(program)], check=True)

    def run(*words):
        environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
        done = subprocess.run([program, *words], capture_output=True, text=True, env=environment, check=False)
        return done.returncode, done.stdout, done.stderr

    return run


def ppm(path, pixels, head="P6\n# a comment\n{1} {0}\n255\n"):
    path.write_bytes(head.format(*pixels.shape).encode() + pixels.tobytes())
    return path


def test_the_example_is_short():
    assert len(EXAMPLE.read_text().splitlines()) < 100


def test_a_picture_is_classified_as_in_python(classify, network, tmp_path):
    loaded = runtime.load(network)
    for number, pixels in enumerate(np.random.default_rng(1).integers(0, 256, (4, 32, 32, 3), np.uint8)):
        (((name, _),),) = loaded.top(pixels[None], 1)
        logit = float(loaded.logits(pixels[None]).max())
        status, text, error = classify(network, ppm(tmp_path / f"{number}.ppm", pixels))
        assert (status, text, error) == (0, f"{name} (logit {logit:.6g})\n", "")


BAD = {
    "another size": (lambda p: ppm(p, np.zeros((31, 32, 3), np.uint8)), "expected another size"),
    "no picture": (lambda p: p.write_bytes(b"hello") and p, "expected a binary PPM"),
    "16 bits": (lambda p: ppm(p, np.zeros((32, 32, 3), np.uint8), "P6 {1} {0} 65535 "), "expected a binary PPM"),
    "cut off": (
        lambda p: ppm(p, np.zeros((32, 32, 3), np.uint8)) and p.write_bytes(p.read_bytes()[:-1]) and p,
        "early",
    ),
    "no file": (lambda p: p, "cannot be opened"),
}


@pytest.mark.parametrize(("make", "reason"), BAD.values(), ids=BAD)
def test_bad_pictures_end_in_one_line(classify, network, tmp_path, make, reason):
    status, text, error = classify(network, make(tmp_path / "a.ppm"))
    assert status == 2 and not text and reason in error and error.count("\n") == 1


def test_bad_networks_end_in_one_line(classify, network, tmp_path):
    damaged = tmp_path / "net.lowbit"
    damaged.write_bytes(network.read_bytes()[:-3])
    for file, reason in ((damaged, "damaged"), (tmp_path / "missing", "No such file"), (tmp_path, "no file")):
        status, text, error = classify(file, tmp_path / "a.ppm")
        assert status == 2 and not text and reason in error and error.count("\n") == 1
