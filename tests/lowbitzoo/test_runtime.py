"""The runtime: logits of the engine inside MindSpore, pictures, threads, the command, and no MindSpore anywhere."""

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from mindspore import Tensor
from PIL import Image

import lowbitzoo
from common import zoo
from common.checkpoint import network_state
from common.data import digits
from common.data.preprocessing import DIGITS
from common.engine.about import About
from common.engine.compiler import compile_network
from common.engine.library import library
from common.engine.networks.describe import describe
from common.engine.runtime_file import encode
from common.errors import ConfigError, DataError
from common.evaluation.integer import IntegerNetwork
from lowbitzoo import runtime

ROOT = Path(__file__).parents[2]
ENTRIES = zoo.entries().values()
PACKED = [e.name for e in ENTRIES if e.source == "shipped" and "float" not in e.bits]
NAMES = tuple(f"class {label}" for label in range(10))
NO_MINDSPORE = "import sys; sys.modules['mindspore'] = None; "
pytestmark = pytest.mark.skipif(library() is None, reason="needs a C++ compiler")


def description_of(name):
    """A registered network's steps."""
    stored = lowbitzoo.load(name)
    if stored.kind != "packed":
        pytest.skip("a float network")
    parameters = network_state.state(stored.network)
    return describe(stored.metadata["network"], parameters, stored.layers, (32, 32), floats=True)


def write(path, description):
    program = compile_network(description, plain=True)
    path.write_bytes(encode(program, About("net", "method", "digits", DIGITS, 0.5, 10, NAMES)))
    return path


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """The file of a registered network."""
    return write(tmp_path_factory.mktemp("file") / "net.lowbit", description_of("dambq-resnet20-digits-w2a2"))


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(0, 256, (70, 32, 32, 3), np.uint8)


def bits_of(values):
    return np.ascontiguousarray(values).view(np.int32)


@pytest.mark.parametrize("name", PACKED)
def test_logits_are_those_of_the_engine_inside_mindspore(name, tmp_path, pynative):
    description = description_of(name)
    network = IntegerNetwork(description)
    x = np.random.default_rng(1).normal(0, 1, (1024, 3, 32, 32)).astype(np.float32)
    expected = network.computed(Tensor(x)).asnumpy()
    loaded = runtime.load(write(tmp_path / "net.lowbit", description), threads=2)
    assert np.array_equal(bits_of(loaded.logits(x)), bits_of(expected[:, : network.classes]))
    assert np.array_equal(loaded.choices(x), expected[:, network.classes :])
    # The checkpoint of a dynamic network holds the codes of all its widths as one number, the file those of each.
    most = 1.4 if name.startswith("dynamicquant") else 1.1
    assert (tmp_path / "net.lowbit").stat().st_size < most * zoo.named(Path(name)).stat().st_size


def test_batches_threads_and_kinds_of_images_do_not_matter(file, pixels, tmp_path):
    one, many = runtime.load(file, threads=1), runtime.load(str(file), threads=5)
    expected = bits_of(one.logits(pixels))
    assert np.array_equal(bits_of(many.logits(pixels)), expected)
    assert np.array_equal(bits_of(many.logits(DIGITS.normalize(pixels))), expected)
    pictures = [Image.fromarray(picture) for picture in pixels[:3]]
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for picture, path in zip(pictures, paths):
        picture.save(path)
    for images in (pictures, paths, [str(path) for path in paths], pixels[:3]):
        assert np.array_equal(bits_of(one.logits(images)), expected[:3])
    assert one.logits([]).shape == (0, 10) and one.logits(pixels[:0]).shape == (0, 10)
    assert np.array_equal(one.predict(pixels), one.logits(pixels).argmax(1))


def test_the_likeliest_classes_have_their_names(file, pixels):
    network = runtime.load(file)
    (best,) = network.top(pixels[:1], 20)
    shares = [share for _, share in best]
    assert len(best) == 10 and shares == sorted(shares, reverse=True) and sum(shares) == pytest.approx(1)
    assert best[0][0] == NAMES[network.predict(pixels[:1])[0]] and network.class_names == NAMES


def test_threads_of_a_program_share_a_network(file, pixels):
    network = runtime.load(file, threads=2)
    expected, wrong = network.logits(pixels), []

    def compute():
        for _ in range(5):
            if not np.array_equal(network.logits(pixels), expected):
                wrong.append(1)

    threads = [threading.Thread(target=compute) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize(
    "images",
    [np.zeros((1, 32, 32), np.uint8), np.zeros((1, 31, 32, 3), np.uint8), np.zeros((1, 3, 32, 32)), "a.png"],
    ids=["no batch", "size", "float64", "one"],
)
def test_other_arrays_are_refused(file, images):
    with pytest.raises(ConfigError, match="expected"):
        runtime.load(file).logits(images)


def test_pictures_of_another_size_are_refused(file, tmp_path):
    Image.new("RGB", (33, 32)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png: expected 32 x 32 pixels, found 33 x 32; resize it"):
        runtime.load(file).predict([tmp_path / "a.png"])


@pytest.mark.parametrize("threads", [0, -1, 1.5, True])
def test_numbers_of_threads_are_checked(file, threads):
    with pytest.raises(ConfigError, match="threads: expected"):
        runtime.load(file, threads)


def predict(*words):
    code = NO_MINDSPORE + "sys.argv[1:] = ['predict', *sys.argv[1:]]; from lowbitzoo.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-c", code, *map(str, words)], cwd=ROOT, capture_output=True, text=True)
    return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()


def test_the_command_prints_the_likeliest_classes_without_mindspore(file, pixels, tmp_path):
    Image.fromarray(pixels[0]).save(tmp_path / "a.png")
    status, lines, errors = predict(file, tmp_path / "a.png", "--threads", 1)
    assert (status, errors) == (0, [])
    best = runtime.load(file).top(pixels[:1])[0]
    expected = [f"{100 * share:8.2f} %  {name}" for name, share in best]
    about = "network: net (method), 10 classes, accuracy 0.5000 of 10 images of digits"
    assert lines == [about, str(tmp_path / "a.png"), *expected] and len(expected) == 5
    assert predict(file, tmp_path) == predict(file, tmp_path / "a.png")  # a folder stands for its pictures


def test_the_command_measures_the_speed(file):
    status, lines, errors = predict(file, "--benchmark")
    assert (status, errors) == (0, []) and len(lines) == 4
    assert lines[1].startswith("one image, one thread: ") and "MiB" in lines[3]


def test_the_command_ends_with_one_line(file, tmp_path):
    (tmp_path / "bad.lowbit").write_bytes(file.read_bytes()[:-1])
    (tmp_path / "bad.png").write_bytes(b"no picture")
    Image.new("RGB", (8, 8)).save(tmp_path / "small.png")
    for words, reason in (
        ([tmp_path / "bad.lowbit", "a.png"], "checksum"),
        ([tmp_path / "missing.lowbit", "a.png"], "cannot read"),
        ([file, tmp_path / "bad.png"], "not a readable image"),
        ([file, tmp_path / "small.png"], "expected 32 x 32 pixels, found 8 x 8"),
        ([file], "expected pictures or --benchmark"),
        ([file, "--threads", 0], "expected a whole number"),
    ):
        status, _, errors = predict(*words)
        assert status == 2 and len(errors) == 1 and reason in errors[0], words


def test_the_accuracy_is_the_registered_one(file):
    source = digits.load("test")
    right = (runtime.load(file).predict(source.images) == source.labels).mean()
    assert right == zoo.find("dambq-resnet20-digits-w2a2").expected["accuracy"]
