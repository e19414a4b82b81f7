"""What the page shows, without the page: networks, figures of a picture, markup, and mistakes of the command."""

import socket

import pytest
from mindspore import Tensor
from PIL import Image

import lowbitzoo
from common.cli.commands import demo as words
from common.data import open_dataset
from common.data.pictures import read_pictures
from common.errors import CheckpointError, ConfigError
from common.evaluation import cost
from common.models.registry import model
from common.runtime.context import execution_mode
from lowbitzoo.demo import command, markup
from lowbitzoo.demo.catalogue import offers, paired, partners, quantized
from lowbitzoo.demo.exhibit import Exhibit, Shown
from lowbitzoo.prediction import recorded_form

MIXED = 23  # number of the picture among 40
ADDER = "adderquant-resnet20-cifar10-w4a4"
DYNAMIC = "dynamicquant-resnet20-digits-w3a3"
PLAIN = Shown("float", (("<cat>", 0.75), ("dog", 0.25)), 4000, 8e9, 2.0, "here", (("a", 32, 32),), frozenset())
LOW = Shown("W2", (("dog", 1.0),), 500, 1e9, 4.0, "there", (("a", 2, 32), ("b", 3.5, 4)), frozenset({"b"}))


def test_float_networks_of_the_same_classes_stand_beside_a_quantized_one():
    found = paired(offers(), named=False)
    assert {found[name].kind for name in quantized(found)} == {"packed"}
    assert partners(found, "ldnq-resnet20-digits-ternary")[0] == "resnet20-digits"
    for name in quantized(found):
        beside = [found[other] for other in partners(found, name)]
        assert beside and all(other.kind == "float" and other.dataset == found[name].dataset for other in beside)


def test_a_network_without_a_float_one_of_its_classes_is_left_out_or_refused(capsys):
    names = ["resnet20-digits", "ldnq-resnet20-digits-ternary", ADDER]
    found = offers(names)
    assert list(paired(found, named=False)) == names[:2]
    line = f"{ADDER}: expected a float network of the same classes beside it, found none"
    assert f"not shown, {line}; python -m lowbitzoo download resnet20-cifar10" in capsys.readouterr().out
    with pytest.raises(ConfigError, match=f"networks: {line}; name one"):
        paired(found, named=True)
    with pytest.raises(ConfigError, match=f"networks: {line}"):
        paired(offers([names[0], ADDER]), named=False)


@pytest.mark.parametrize(
    ("names", "error", "expected"),
    [
        (["resnet20-digits"], ConfigError, "networks: expected a quantized network too, found resnet20-digits"),
        ([DYNAMIC], ConfigError, f"networks: expected a float network too, found {DYNAMIC}"),
        (["nothing.ckpt"], CheckpointError, "nothing.ckpt"),
    ],
)
def test_networks_that_cannot_be_compared(names, error, expected):
    with pytest.raises(error, match=expected):
        offers(names)


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    """A digit that does not take the same bits in all layers."""
    source = open_dataset("digits", None, "test").spread(40)
    file = tmp_path_factory.mktemp("picture") / "six.png"
    Image.fromarray(source.images[MIXED]).save(file)
    return file


@pytest.fixture(scope="module")
def shown(picture):
    with execution_mode("pynative"):
        return Exhibit(offers()[DYNAMIC]).look(picture)


def test_classes_and_choices_are_those_of_floats(shown, picture):
    stored = lowbitzoo.load(DYNAMIC)
    (expected,) = lowbitzoo.predict(stored, picture)
    assert [name for name, _ in shown.classes] == [name for name, _ in expected.classes]
    assert [share for _, share in shown.classes] == pytest.approx([share for _, share in expected.classes], abs=1e-3)
    images = Tensor(read_pictures([picture], recorded_form(stored.metadata)))
    with execution_mode("pynative"):
        mask = stored.network.decide(images)[1].asnumpy()
    bits = {name: weights for name, weights, _ in shown.layers}
    assert [bits[name] for name in stored.network.dynamic] == [(2, 3, 4)[index] for index in mask[0].argmax(1)]
    assert shown.chosen == set(stored.network.dynamic) and len({bits[name] for name in shown.chosen}) > 1


def test_bit_operations_are_those_of_the_bits(shown):
    macs = {layer.name: layer.macs for layer in cost.trace(model("resnet20").build(10), (3, 32, 32))}
    assert [name for name, *_ in shown.layers] == list(macs)
    assert sum(macs[name] * weights * inputs for name, weights, inputs in shown.layers) == shown.bit_operations
    assert shown.bytes == offers()[DYNAMIC].file.stat().st_size and shown.milliseconds > 0


def test_markup_of_costs_answers_and_layers():
    table = markup.costs(PLAIN, LOW)
    assert all(text in table for text in ("4,000", "500", "8.00 x", "8.000 G", "4.00 ms", "0.50 x", "here", "there"))
    text = markup.answer("float", PLAIN)
    assert "&lt;cat&gt;" in text and "<cat>" not in text and "75.00%" in text
    rows = markup.layers(LOW)
    assert "This picture chose the bits of 1 layers, 3.50 on average" in rows and rows.count("class='chosen'") == 1
    assert ">float<" in rows and ">2<" in rows and "width:25%" in rows


def test_without_gradio_one_line_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(command.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r'demo: expected Gradio, found none; pip install "lowbitzoo\[demo\]"'):
        command.run([])


def test_it_listens_to_this_machine_alone_unless_told_otherwise():
    assert words.make_parser().parse_args([]).host == "127.0.0.1"


def test_an_address_that_is_taken():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(ConfigError, match=f"host, port: cannot listen at 127.0.0.1:{port}"):
            command.require_address("127.0.0.1", port)
