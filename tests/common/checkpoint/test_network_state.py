import mindspore
import numpy as np
import pytest
from mindspore import Parameter, Tensor, nn

from common.checkpoint import load, save
from common.checkpoint.network_state import digest, restore, state
from common.errors import CheckpointError


class Net(nn.Cell):
    def __init__(self, classes=3):
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3)
        self.bn = nn.BatchNorm2d(4)
        self.linear = nn.Dense(4, classes)
        self.bits = Parameter(Tensor(np.full(4, 8, np.int32)), requires_grad=False)
        self.frozen = Parameter(Tensor(np.array([True, False])), requires_grad=False)

    def construct(self, x):
        return self.linear(self.bn(self.conv(x)).mean((2, 3)))


NAMES = {
    "conv.weight",
    "bn.gamma",
    "bn.beta",
    "bn.moving_mean",
    "bn.moving_variance",
    "linear.weight",
    "linear.bias",
    "bits",
    "frozen",
}


def other_values(network):
    rng = np.random.default_rng(0)
    return {
        name: rng.random(array.shape).astype(array.dtype)
        if array.dtype.kind == "f"
        else 1 - array
        if array.dtype.kind == "i"
        else ~array
        for name, array in state(network).items()
    }


def assert_state(network, expected):
    found = state(network)
    assert set(found) == set(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name, strict=True)


def test_state_has_all_parameters_as_copies():
    network = Net()
    tensors = state(network)
    assert set(tensors) == NAMES
    assert {name: array.dtype.name for name, array in tensors.items() if array.dtype != np.float32} == {
        "bits": "int32",
        "frozen": "bool",
    }
    before = tensors["conv.weight"].copy()
    network.conv.weight.set_data(Tensor(np.zeros((4, 2, 3, 3), np.float32)))
    np.testing.assert_array_equal(tensors["conv.weight"], before)
    tensors["bits"][:] = 0
    assert (network.bits.asnumpy() == 8).all()


def test_restore_assigns_everything():
    network = Net()
    tensors = other_values(network)
    restore(network, tensors)
    assert_state(network, tensors)
    expected = {name: array.copy() for name, array in tensors.items()}
    tensors["conv.weight"][:] = 0
    assert_state(network, expected)


@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors"])
def test_through_a_file(tmp_path, suffix):
    path = tmp_path / f"net{suffix}"
    source, target = Net(), Net()
    save(path, other_values(source), {})
    restore(target, load(path).tensors, str(path))
    assert_state(target, other_values(source))


@pytest.mark.parametrize("mode", [mindspore.GRAPH_MODE, mindspore.PYNATIVE_MODE])
def test_restored_values_count_in_a_network_that_has_run(mode):
    mindspore.set_context(mode=mode)
    network, fresh = Net().set_train(False), Net().set_train(False)
    x = Tensor(np.random.default_rng(1).random((2, 2, 5, 5), np.float32))
    before = network(x).asnumpy()
    restore(network, other_values(network))
    restore(fresh, other_values(fresh))
    after = network(x).asnumpy()
    assert not np.array_equal(before, after)
    np.testing.assert_array_equal(after, fresh(x).asnumpy())


def changed(**changes):
    tensors = other_values(Net())
    for name, array in changes.items():
        if array is None:
            del tensors[name.replace("__", ".")]
        else:
            tensors[name.replace("__", ".")] = array
    return tensors


NAN = np.array([0, np.nan, 0], np.float32)
FAULTS = {
    "missing": ({"bits": None, "conv__weight": None}, r"2 missing: bits, conv\.weight$"),
    "unexpected": ({"extra__w": np.ones(1)}, r"1 unexpected: extra\.w$"),
    "renamed": (
        {"linear__bias": None, "fc__bias": np.zeros(3, np.float32)},
        r"1 missing: linear\.bias; 1 unexpected: fc\.bias$",
    ),
    "classes": (
        {"linear__weight": np.zeros((10, 4), np.float32)},
        r"linear\.weight \(expected shape \(3, 4\), found \(10, 4\)\)$",
    ),
    "transposed": ({"linear__weight": np.zeros((4, 3), np.float32)}, r"expected shape \(3, 4\), found \(4, 3\)"),
    "flat": ({"bits": np.zeros((4, 1), np.int32)}, r"bits \(expected shape \(4,\), found \(4, 1\)\)"),
    "int for float": ({"linear__bias": np.zeros(3, np.int32)}, "expected float32, found int32"),
    "float for int": ({"bits": np.zeros(4, np.float32)}, "expected int32, found float32"),
    "unsigned": ({"bits": np.zeros(4, np.uint8)}, "expected int32, found uint8"),
    "int for bool": ({"frozen": np.zeros(2, np.int32)}, "expected bool, found int32"),
    "too large": ({"bits": np.full(4, 2**40)}, "range of int32, found 1099511627776 to"),
    "nan": ({"linear__bias": NAN}, r"linear\.bias \(NaN or infinite"),
    "inf": ({"linear__bias": np.full(3, -np.inf, np.float32)}, "NaN or infinite"),
    "overflow": ({"linear__bias": np.full(3, 1e300)}, "infinite values as float32"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_named_and_nothing_is_assigned(fault):
    changes, message = FAULTS[fault]
    network = Net()
    before = state(network)
    with pytest.raises(CheckpointError, match=message) as caught:
        restore(network, changed(**changes), "some.ckpt")
    assert str(caught.value).startswith("some.ckpt: ")
    assert "\n" not in str(caught.value)
    assert_state(network, before)


def test_message_without_a_path():
    with pytest.raises(CheckpointError, match=r"^the checkpoint is not one of this network"):
        restore(Net(), {})


def test_at_most_ten_names_are_listed():
    extra = {f"extra{i:02}": np.ones(1, np.float32) for i in range(13)}
    with pytest.raises(CheckpointError, match=r"13 unexpected: extra00, .*extra09 and 3 more$") as caught:
        restore(Net(), changed() | extra)
    assert "extra10" not in str(caught.value)


def test_other_widths_of_the_same_kind():
    network = Net()
    tensors = changed(linear__bias=np.array([0.1, 0.2, 0.3]), bn__beta=np.ones(4, np.float16), bits=np.arange(4))
    restore(network, tensors)
    found = state(network)
    np.testing.assert_array_equal(found["linear.bias"], np.array([0.1, 0.2, 0.3], np.float32), strict=True)
    np.testing.assert_array_equal(found["bn.beta"], np.ones(4, np.float32), strict=True)
    np.testing.assert_array_equal(found["bits"], np.arange(4, dtype=np.int32), strict=True)


def test_read_only_and_strided_arrays():
    network = Net()
    tensors = changed(conv__weight=np.random.default_rng(0).random((3, 3, 2, 4), np.float32).T)
    for array in tensors.values():
        array.flags.writeable = False
    restore(network, tensors)
    assert_state(network, tensors)


def test_real_checkpoint_into_layers_of_its_first_stage(shared):
    class Stem(nn.Cell):
        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv2d(3, 16, 3)
            self.bn1 = nn.BatchNorm2d(16)
            self.linear = nn.Dense(64, 10)

    tensors = load(shared / "checkpoints" / "resnet20-12fca82f.th").tensors
    network = Stem()
    with pytest.raises(CheckpointError, match=r"90 unexpected: layer1\.0\.conv1\.weight, .* and 80 more$"):
        restore(network, tensors)
    restore(network, {name: array for name, array in tensors.items() if not name.startswith("layer")})
    assert_state(network, {name: array for name, array in tensors.items() if not name.startswith("layer")})


def test_a_digest_tells_networks_apart():
    network, twin = Net(), Net()
    restore(twin, state(network))
    assert digest(network) == digest(twin) and len(digest(network)) == 16
    bits = twin.bits.asnumpy().copy()
    bits[2] = 7
    twin.bits.set_data(Tensor(bits))
    assert digest(network) != digest(twin)
