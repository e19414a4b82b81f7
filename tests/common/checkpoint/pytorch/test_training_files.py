"""What training scripts and model hubs write: states under any key and prefix, beside objects of any kind."""

import hashlib
import pickle

import numpy as np
import pytest
from torch_samples import CONTAINERS, DATA, call, integer, mapping, name_of, sequence, tensor, text

from common.checkpoint import load
from common.checkpoint.pytorch.names import named_by_pytorch, to_mindspore_names
from common.checkpoint.pytorch.state_dict import read_state_file
from common.errors import CheckpointError


@pytest.mark.parametrize(
    "key",
    ["state_dict", "model_state_dict", "model", "net", "network", "ema", "params", "weights", "my own", "optimal_net"],
)
@pytest.mark.parametrize("depth", [1, 3])
def test_the_one_state_is_found_under_any_key(read, key, depth):
    body = mapping(w=tensor())
    for _ in range(depth):
        beside = mapping(state=mapping(), param_groups=b"]")
        body = mapping(epoch=integer(3), **{key: body}, optimizer_state_dict=beside, loss=b"G" + bytes(8))
    assert list(read(body)) == ["w"]


def test_states_of_optimizers_and_measures_are_none(read):
    moments = b"}(" + integer(0) + mapping(step=tensor((), ()), exp_avg=tensor()) + b"u"
    optimizer = mapping(state=moments, master=mapping(w=tensor()))
    body = mapping(model=mapping(w=tensor()), optimizer=optimizer, best=mapping(acc=tensor((), ())))
    assert list(read(body)) == ["w"]


@pytest.mark.parametrize("average", ["ema", "state_dict_ema", "model_ema", "ema_model", "swa", "averaged_model"])
def test_trained_weights_are_taken_before_averaged_ones_and_that_is_said(read, average, capsys):
    averaged = mapping(w=tensor(offset=0, shape=(3,), stride=(1,)))
    state = read(mapping(**{average: averaged}, model=mapping(w=tensor(offset=3, shape=(3,), stride=(1,)))))
    np.testing.assert_array_equal(state["w"], [3, 4, 5])
    assert f"the state under model is taken, not the averaged {average}" in capsys.readouterr().err


@pytest.mark.parametrize("keys", [("netG", "netD"), ("ema", "swa")])
def test_of_several_states_none_is_guessed(read, keys):
    with pytest.raises(CheckpointError, match=f"found several: {keys[0]}, {keys[1]}; save the one to use alone"):
        read(mapping(**{key: mapping(w=tensor()) for key in keys}))


def test_one_state_under_two_keys_is_one(read):
    twice = mapping(model=mapping(w=tensor()) + b"q\5", state_dict=b"h\5")
    assert list(read(twice)) == ["w"]


def test_without_a_state_the_keys_are_listed(read):
    with pytest.raises(CheckpointError, match=r"under state_dict, .*found epoch \(int\), log \(list\), net \(dict\)"):
        read(mapping(epoch=integer(3), log=b"]", net=mapping()), {})


FOREIGN = {
    "counter": call(name_of("collections", "Counter"), b"}(" + integer(100) + integer(1) + b"u"),
    "namespace": name_of("argparse", "Namespace") + b")\x81" + mapping(lr=integer(1)) + b"b",
    "scheduler": name_of("torch.optim.lr_scheduler", "MultiStepLR") + b")\x81" + mapping(gamma=integer(1)) + b"b",
    "default dict": call(name_of("collections", "defaultdict"), name_of("builtins", "list")) + text("a") + b"]s",
    "scalar": call(
        name_of("numpy.core.multiarray", "scalar"),
        call(name_of("numpy", "dtype"), text("f8"), b"\x89", b"\x88") + sequence(integer(3), text("<")) + b"b",
        call(name_of("_codecs", "encode"), text("\0" * 8), text("latin1")),
    ),
    "set": b"\x8f(" + integer(1) + b"\x90",
    "frozen set": b"(" + integer(1) + b"\x91",
    "path": call(name_of("pathlib", "PosixPath"), text("/"), text("tmp")),
    "list of foreign": call(name_of("deque", "deque"), b"]") + integer(1) + b"a(" + integer(2) + b"e",
    "whole network": name_of("models", "Net") + b")\x81" + mapping(weight=tensor()) + b"b",
    "tuple as key": b"}" + sequence(integer(1)) + integer(2) + b"s",
    "lambda": name_of("__main__", "<lambda>"),
    "hostile": call(name_of("os", "system"), text("touch /tmp/hostile")),
    "nested": call(call(name_of("builtins", "getattr"), name_of("os", "path"), text("x")), integer(1)),
}


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("first", [True, False])
def test_foreign_objects_beside_the_state_stay_inert(read, kind, first):
    items = {"other": FOREIGN[kind], "state_dict": mapping(w=tensor())}
    state = read(mapping(**(items if first else dict(reversed(items.items())))))
    np.testing.assert_array_equal(state["w"].ravel(), np.frombuffer(DATA, np.float32))


def test_a_foreign_object_as_a_weight_is_named(read):
    for kind, name in (("counter", "collections.Counter"), ("scalar", "numpy.core.multiarray.scalar")):
        with pytest.raises(CheckpointError, match=f"'n', found an object of {name}, of which nothing was run"):
            read(mapping(state_dict=mapping(w=tensor(), n=FOREIGN[kind])))


def test_a_whole_network_is_named(read):
    with pytest.raises(CheckpointError, match=r"a whole object of models\.Net, of which nothing was run.*state_dict"):
        read(name_of("models", "Net") + b")\x81" + mapping(weight=tensor()) + b"b")


def test_extra_states_of_layers_are_left_out(read):
    assert list(read(mapping(**{"w": tensor(), "bn._extra_state": b"N"}))) == ["w"]


def names(*keys):
    return {key: np.full(1, index, np.float32) for index, key in enumerate(keys)}


@pytest.mark.parametrize(
    "prefix",
    ["", "module.", "_orig_mod.", "model.", "module._orig_mod.", "_orig_mod.module.", "module.model.net.", "backbone."],
)
@pytest.mark.parametrize("counter", ["n_averaged", "bn.num_batches_tracked", "module.n_averaged"])
def test_shared_prefixes_and_counters_go(prefix, counter):
    state = names(*(prefix + name for name in ("conv.weight", "bn.weight", "bn.running_mean", "fc.bias")), counter)
    assert list(to_mindspore_names(state)) == ["conv.weight", "bn.gamma", "bn.moving_mean", "fc.bias"]


def test_prefixes_of_some_weights_stay():
    kept = names("model.a.weight", "head.weight")
    assert list(to_mindspore_names(kept)) == list(kept)
    assert list(to_mindspore_names(names("layers.a.weight", "layers.b.weight"))) == [
        "layers.a.weight",
        "layers.b.weight",
    ]
    assert list(to_mindspore_names(names("a._orig_mod.0.weight", "b.weight"))) == ["a.0.weight", "b.weight"]


def test_names_of_pytorch_are_known_in_other_formats(tmp_path):
    from safetensors.numpy import save_file

    assert named_by_pytorch(["bn.running_var"]) and named_by_pytorch(["module.a"])
    assert not named_by_pytorch(["bn.moving_variance", "conv.weight", "model.a"])
    save_file(names("module.bn.weight", "module.bn.running_mean"), tmp_path / "model.safetensors")
    assert sorted(load(tmp_path / "model.safetensors").tensors) == ["bn.gamma", "bn.moving_mean"]


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("suffix", [".pth", ".pth.tar", "", ".bin"])
def test_hashes_and_dates_in_names(tmp_path, container, suffix):
    content = CONTAINERS[container](mapping(w=tensor()), {"0": DATA})
    digest = hashlib.sha256(content).hexdigest()
    for part in ("20240101", "20240101123000", "00012000", "2024-01-01", "epoch-100", digest[:8], digest, "v2-abc"):
        (tmp_path / f"net-{part}{suffix}").write_bytes(content)
        assert list(read_state_file(tmp_path / f"net-{part}{suffix}")) == ["w"]
    (tmp_path / f"net-abcd1234{suffix}").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"expected sha256 abcd1234.*rename the file"):
        read_state_file(tmp_path / f"net-abcd1234{suffix}")


@pytest.mark.parametrize("depth", [150, 1000, 500_000])
@pytest.mark.parametrize("whole", [True, False])
def test_storage_keys_are_text_before_they_are_hashed(tmp_path, depth, whole):
    nested = b")" + b"\x85" * depth
    content = CONTAINERS["legacy"](mapping(w=tensor()), {"0": DATA})
    listed = pickle.dumps(["0"], protocol=2)
    assert content.count(listed) == 1
    hostile = b"\x80\x02" + (nested if whole else b"](" + nested + b"e") + b"."
    (tmp_path / "net.pth").write_bytes(content.replace(listed, hostile))
    with pytest.raises(CheckpointError, match=r"net\.pth: .*(nested at most|storages' names)"):
        load(tmp_path / "net.pth")


@pytest.mark.parametrize("keys", [[1], [("0",)], [None], ["0", "0"], {"0": 1}, "0"])
def test_other_lists_of_storages(tmp_path, keys):
    (tmp_path / "net.pth").write_bytes(CONTAINERS["legacy"](mapping(w=tensor()), {"0": DATA}, keys=keys))
    with pytest.raises(CheckpointError, match=r"net\.pth: .*storages"):
        load(tmp_path / "net.pth")
