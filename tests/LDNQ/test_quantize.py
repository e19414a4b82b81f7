import numpy as np
import pytest
from ldnq_tiny import tiny_network

from common.checkpoint import network_state
from common.data import CIFAR10
from common.errors import CheckpointError, DataError
from common.quant.conv_geometry import conv_geometry
from common.report import read_rows
from common.runtime.hooks import reestimate_batch_norm
from LDNQ import layer_report
from LDNQ.calibration_set import CalibrationSet, choose_images
from LDNQ.hessian import InputMoment, patches
from LDNQ.levels import signed_levels
from LDNQ.observation import input_hessian
from LDNQ.plan import Plan
from LDNQ.quantize import Cascade

PLAN = Plan(kbits=3, batch_size=8, steps=4, window=2, refine_steps=6, save_every=2, lr=1e-3, refine_lr=1e-3)


@pytest.fixture(scope="module")
def whole(images, tmp_path_factory):
    """Parameters and layer records of an uninterrupted run."""
    folder = tmp_path_factory.mktemp("whole")
    cascade = Cascade(tiny_network(), CalibrationSet(images, CIFAR10, 3, 3), PLAN, folder)
    cascade.run()
    return network_state.state(cascade.network), cascade.records


@pytest.fixture
def make(images, tmp_path):
    """A cascade of a plan on the tiny network."""

    def cascade(plan: Plan = PLAN, folder: str = "run", seed: int = 3, test=None) -> Cascade:
        return Cascade(tiny_network(), CalibrationSet(images, CIFAR10, 3, seed), plan, tmp_path / folder, test)

    return cascade


@pytest.mark.parametrize(("kbits", "granularity"), [(3, "channel"), (7, "layer")])
def test_every_layer_ends_on_its_levels(make, kbits, granularity, capsys):
    plan = Plan(**{**PLAN.__dict__, "kbits": kbits, "granularity": granularity})
    cascade = make(plan, test=lambda _: 0.5)
    layers = cascade.run()
    assert list(layers) == ["conv1", "conv2", "fc"]
    state = network_state.state(cascade.network)
    for name, layer in layers.items():
        weight, bias = layer.values()
        assert np.array_equal(weight, state[f"{name}.weight"])
        assert set(np.unique(layer.weight)) <= set(signed_levels(kbits))
        assert (bias is None) == (name == "conv1") and (bias is None or np.array_equal(bias, state[f"{name}.bias"]))
        assert layer.scale.dtype == np.float32 and np.all(layer.scale >= 0)
    assert (layers["fc"].scale.shape == (1,)) == (granularity == "layer")
    assert [record["layer"] for record in cascade.records] == list(layers)
    assert all(0 < record["error"] < 1 and record["test_acc"] == 0.5 for record in cascade.records)
    assert "[2/3] conv2: output error" in capsys.readouterr().out
    assert {"Hessians", "layer problems", "matching", "refinement", "BatchNorm statistics"} <= set(cascade.seconds)


def test_first_and_last_layer_can_stay_float(make):
    cascade = make(Plan(**{**PLAN.__dict__, "first_and_last": False}))
    before = network_state.state(cascade.network)
    assert list(cascade.run()) == ["conv2"]
    after = network_state.state(cascade.network)
    assert len(np.unique(after["conv1.weight"])) > 100
    assert not np.array_equal(before["conv1.weight"], after["conv1.weight"])  # trained to match


def test_a_quantized_bias_and_finished_layers_stay_while_batch_norm_trains(make):
    cascade = make(Plan(**{**PLAN.__dict__, "refine_steps": 0}))
    seen = []
    cascade.test = lambda network: seen.append(network_state.state(network)) or 0.0
    cascade.run()
    for name in ("conv1.weight",):
        assert np.array_equal(seen[0][name], seen[2][name])
    for name in ("conv2.weight", "conv2.bias"):
        assert not np.array_equal(seen[0][name], seen[1][name]) and np.array_equal(seen[1][name], seen[2][name])
    for name in ("bn1.gamma", "bn1.beta"):
        assert not np.array_equal(seen[1][name], seen[2][name])


class KilledError(Exception):
    pass


@pytest.mark.parametrize("saves", [1, 4])
def test_a_killed_run_ends_with_the_same_network(make, monkeypatch, saves, whole):
    count, save = [0], Cascade._save

    def killed_save(self, fingerprint):
        save(self, fingerprint)
        count[0] += 1
        if count[0] == saves:
            raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(Cascade, "_save", killed_save)
        with pytest.raises(KilledError):
            make(folder="killed").run()
    again = make(folder="killed")
    again.run()
    found = network_state.state(again.network)
    expected, records = whole
    assert all(np.array_equal(expected[name], found[name]) for name in expected)
    plain = [{key: value for key, value in record.items() if key != "seconds"} for record in records]
    assert [{key: value for key, value in record.items() if key != "seconds"} for record in again.records] == plain


def test_a_run_of_another_plan_or_network_is_refused_or_replaced(make):
    make().run()
    other = make(Plan(**{**PLAN.__dict__, "kbits": 5}))
    with pytest.raises(CheckpointError, match="another run"):
        other.run()
    with pytest.raises(CheckpointError, match="another run"):
        make(seed=4).run()
    assert make(Plan(**{**PLAN.__dict__, "kbits": 5})).run(resume=False)


def test_no_step_of_matching_leaves_no_loss(make, capsys):
    cascade = make(Plan(**{**PLAN.__dict__, "steps": 0, "refine_steps": 0}))
    cascade.run()
    assert all(record["steps"] == 0 and "match_after" not in record for record in cascade.records)
    assert "dB), 0 steps, " in capsys.readouterr().out
    layer_report.write(cascade.folder, cascade.records)
    assert [row["layer"] for row in read_rows(cascade.folder / "layers.csv")] == ["conv1", "conv2", "fc"]


def test_stages_end_when_the_loss_stops_falling(make):
    plan = Plan(**{**PLAN.__dict__, "steps": 40, "lr": 1e-12, "patience": 2, "refine_steps": 0, "tolerance": 0.5})
    cascade = make(plan)
    cascade.run()
    assert all(record["steps"] < 40 for record in cascade.records)


def test_matching_lowers_the_loss(make):
    cascade = make(Plan(**{**PLAN.__dict__, "steps": 40, "lr": 1e-2, "patience": 99, "refine_steps": 0}))
    cascade.run()
    assert all(record["match_after"] < record["match_before"] for record in cascade.records[:1])


def test_input_hessian_is_that_of_the_layers_own_inputs(images):
    network = tiny_network()
    data = CalibrationSet(images, CIFAR10, 1, 0)
    batches = list(data.passes(1, 6))
    found = input_hessian(network, network.conv1, batches)
    columns = patches(np.concatenate(batches), conv_geometry(network.conv1))[0].astype(np.float64)
    np.testing.assert_allclose(found[0], columns @ columns.T / columns.shape[1], rtol=1e-4, atol=1e-4)
    assert input_hessian(network, network.conv2, batches).shape == (2, 37, 37)
    assert input_hessian(network, network.fc, batches)[0, -1, -1] == pytest.approx(1)
    assert not network.bn1.moving_mean.asnumpy().any()  # left alone
    assert isinstance(InputMoment(conv_geometry(network.fc)), InputMoment)


def test_batch_norm_statistics_are_exact(images):
    network = tiny_network()
    data = CalibrationSet(images, CIFAR10, 2, 0)
    reestimate_batch_norm(network, data.passes(2, 5))
    inputs = np.concatenate(list(data.passes(2, 5)))
    columns = patches(inputs, conv_geometry(network.conv1))[0]
    output = network.conv1.weight.asnumpy().reshape(8, -1) @ columns
    np.testing.assert_allclose(network.bn1.moving_mean.asnumpy(), output.mean(1), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(network.bn1.moving_variance.asnumpy(), output.var(1), rtol=1e-3)


def test_the_chosen_images_are_recorded_and_used_again(images, tmp_path):
    record = tmp_path / "images.json"
    first = choose_images(images, 5, 1, record)
    assert np.array_equal(choose_images(images, 5, 2, record).images, first.images)
    other = choose_images(images, 5, 2, record, resample=True)
    assert not np.array_equal(other.images, first.images) and len(np.unique(other.images, axis=0)) == 5
    assert np.array_equal(choose_images(images, 5, 1, record).images, other.images)
    with pytest.raises(DataError, match="resample"):
        choose_images(images, 6, 1, record)
    with pytest.raises(DataError, match="13 images were asked for, the data set holds 12"):
        choose_images(images, 13, 1, record)
    for text in (
        "",
        "[]",
        '{"of": 12}',
        '{"of": 12, "indices": [1, 1, 2, 3, 4]}',
        '{"of": 12, "indices": [0, 1, 2, 3, 12]}',
    ):
        record.write_text(text)
        with pytest.raises(DataError, match=r"images\.json"):
            choose_images(images, 5, 1, record)


def test_views_and_logits_belong_together(images):
    network = tiny_network()
    data = CalibrationSet(images, CIFAR10, 3, 7)
    data.teach(network)
    assert data.logits.shape == (3, 12, 10)
    first, logits = data.batch(5, 8)
    again, _ = data.batch(5, 8)
    assert np.array_equal(first, again) and first.shape == (8, 3, 32, 32)
    import mindspore as ms

    np.testing.assert_allclose(network(ms.Tensor(first)).asnumpy(), logits, atol=1e-4)
    assert not np.array_equal(data.batch(6, 8)[0], first)
    assert len(data.batch(0, 64)[0]) == 12
