"""What is said of choices, against figures computed by hand, and the recorder."""

import numpy as np
import pytest
from dynamic_tiny import PREPROCESSING, dynamic_network, images, static_network
from mindspore import Tensor
from PIL import Image

from common.data import batches, eval_dataset
from common.evaluation import evaluate
from DynamicQuant.choices import ChoiceRecorder, Choices
from DynamicQuant.network import Decisions
from DynamicQuant.plots import plot_bits, plot_examples
from DynamicQuant.quant_config import QuantConfig

INDEX = np.array([[0, 1], [2, 1], [0, 1], [2, 2]], np.uint8)
MACS = {"static": 50, "a": 10, "b": 30}


@pytest.fixture
def choices() -> Choices:
    return Choices(INDEX, np.array([5, 5, 1, 1]), QuantConfig(3), ["a", "b"], MACS)


def test_bits_and_bit_operations_are_counted_per_image_and_layer(choices):
    np.testing.assert_array_equal(choices.bits, [[2, 3], [4, 3], [2, 3], [4, 4]])
    assert choices.static_operations == 90 * 9
    np.testing.assert_array_equal(
        choices.operations, [450 + 40 + 270, 450 + 160 + 270, 450 + 40 + 270, 450 + 160 + 480]
    )


def test_the_middle_everywhere_costs_what_the_static_network_does():
    index = np.ones((3, 2), np.uint8)
    choices = Choices(index, np.zeros(3), QuantConfig(3), ["a", "b"], MACS)
    np.testing.assert_array_equal(choices.operations, choices.static_operations)
    assert choices.summary()["share_of_static"] == 1 and choices.summary()["entropy"] == 0


def test_the_summary_holds_means_deviations_layers_and_classes(choices):
    summary = choices.summary()
    operations = np.array([760, 880, 760, 1090])
    assert summary["bits"] == {"mean": 3.125, "deviation": np.array([2.5, 3.5, 2.5, 4]).std()}
    expected = {"mean": operations.mean(), "deviation": operations.std(), "least": 760, "most": 1090}
    assert {key: value for key, value in summary["bit_operations"].items() if key != "formula"} == expected
    assert summary["share_of_static"] == pytest.approx(operations.mean() / 810)
    assert summary["different_choices"] == 3
    entropies = [1.0, -(0.75 * np.log2(0.75) + 0.25 * np.log2(0.25))]
    assert summary["entropy"] == pytest.approx(np.mean(entropies))
    first, second = summary["layers"]
    assert (first["layer"], first["bits"], first["2 bits"], first["3 bits"], first["4 bits"]) == ("a", 3, 0.5, 0, 0.5)
    assert first["entropy"] == pytest.approx(1) and second["entropy"] == pytest.approx(entropies[1])
    assert [(row["class"], row["images"], row["bits"]) for row in summary["classes"]] == [(1, 2, 3.25), (5, 2, 3)]
    assert summary["classes"][0]["of static"] == pytest.approx((760 + 1090) / 2 / 810)


@pytest.mark.parametrize("make", [lambda: dynamic_network(spread=1.0), static_network], ids=["dynamic", "static"])
def test_the_recorder_changes_no_metric_and_leaves_out_what_fills_the_last_batch(pynative, make):
    network, source, recorder, metrics = make(), images(17), ChoiceRecorder(), []
    dynamic = hasattr(network, "decide")
    for cell, on_batch in ((network, None), (Decisions(network) if dynamic else network, recorder)):
        measured = evaluate(cell, batches(eval_dataset(source, PREPROCESSING, 5)), 17, on_batch=on_batch)
        metrics.append((measured.correct, measured.loss_sum, measured.samples))
    assert metrics[0] == metrics[1]
    network.set_train(False)
    logits = network(Tensor(source.eval_batch(np.arange(17), PREPROCESSING))).asnumpy().astype(np.float64)
    uniform = (np.log(np.exp(logits).sum(1)) - logits.mean(1)).sum()
    assert recorder.uniform_loss(17) == pytest.approx(uniform, rel=1e-5)
    if dynamic:
        chosen = recorder.choices(source.labels, QuantConfig(3), network)
        assert chosen.index.shape == (17, 4) and len(np.unique(chosen.index)) == 3
        alone = Decisions(network)(Tensor(source.eval_batch(np.arange(16, 17), PREPROCESSING)))[1].asnumpy()
        np.testing.assert_array_equal(chosen.index[16], alone[0].argmax(1))


def test_pictures_are_written(tmp_path, choices):
    plot_bits(choices, tmp_path / "bits.png")
    plot_examples(choices, images(4), PREPROCESSING, tmp_path / "examples.png")
    for name in ("bits.png", "examples.png"):
        assert Image.open(tmp_path / name).format == "PNG"
