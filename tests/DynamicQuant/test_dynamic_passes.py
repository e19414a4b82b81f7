"""Two passes: against every threshold, and the script on two static networks."""

import json

import numpy as np
import pytest
from script_runs import refused, run

from common.errors import ConfigError
from DynamicQuant import eval as evaluation
from DynamicQuant import train, two_passes
from DynamicQuant.passes import Passes, confidence, share_of, threshold_of

SHORT = ["--epochs", 1, "--lr", 0.01, "--schedule", "constant", "--warmup_epochs", 0]


def example(count=50, seed=0) -> Passes:
    rng = np.random.default_rng(seed)
    return Passes(rng.normal(0, 3, (count, 4)), rng.normal(0, 3, (count, 4)), rng.integers(0, 4, count))


def test_the_share_spends_the_static_networks_operations():
    assert share_of(2, 4, 3) == pytest.approx((9 - 4) / 16) and share_of(3, 5, 4) == pytest.approx(7 / 25)
    assert share_of(2, 7, 6) * 49 + 4 == pytest.approx(36)
    for bits in ((3, 4, 3), (4, 2, 3), (2, 3, 3), (2, 4, 5)):
        with pytest.raises(ConfigError, match="target_bits: expected bits between"):
            share_of(*bits)


def test_confidence_is_the_largest_probability():
    passes = example()
    odds = np.exp(passes.first)
    np.testing.assert_allclose(confidence(passes.first), (odds / odds.sum(1, keepdims=True)).max(1), rtol=1e-12)
    assert confidence(np.array([[1e4, 0, 0]])) == 1


def test_the_logits_of_the_second_pass_count_below_the_threshold():
    passes = example()
    for threshold in (-np.inf, 0.3, 0.6, 0.9, np.inf):
        wanted = 0
        for first, second, label, sure in zip(passes.first, passes.second, passes.labels, confidence(passes.first)):
            wanted += int((first if sure >= threshold else second).argmax() == label)
        assert passes.right(threshold) == wanted


@pytest.mark.parametrize("share", [0.01, 0.3, 0.9])
def test_the_threshold_is_the_largest_that_keeps_the_share(share):
    found = np.random.default_rng(1).random(400)
    threshold, most = threshold_of(found, share), share - 2 * np.sqrt(share * (1 - share) / 400)
    assert (found < threshold).mean() <= max(most, 0)
    above = np.sort(found)[np.searchsorted(np.sort(found), threshold) + 1]
    assert (found < above).mean() > most
    assert threshold_of(found, 1.0) == np.inf


@pytest.fixture(scope="module")
def two_and_four(tmp_path_factory, runs, data):
    """Static networks of 2 and 4 bits that have kept 12 images."""
    root = tmp_path_factory.mktemp("passes")
    for name, bits in (("two", 2), ("four", 4)):
        words = ["--static", "--bits", bits, "--run_name", name, "--pretrained", runs["float"][0] / "final.ckpt"]
        run(train, *data, *SHORT, *words, "--output_dir", root, "--validation", 12)
    return root / "two" / "two.ckpt", root / "four" / "four.ckpt"


def test_the_script_measures_both_networks_and_their_pair(two_and_four, data, tmp_path):
    first, second = two_and_four
    words = ["--checkpoint_path", first, "--second", second, "--validation", 12, "--json", tmp_path / "out.json"]
    lines = run(two_passes, *data, *words)
    record = json.loads((tmp_path / "out.json").read_text())
    low, high, both = record["networks"].values()
    assert list(record["networks"]) == ["2 bits", "4 bits", "2, then 4 bits"]
    assert (low["of_static"], high["of_static"]) == pytest.approx((4 / 9, 16 / 9))
    assert both["of_static"] == pytest.approx((4 + 16 * record["share"]) / 9)
    for path, figures in ((first, low), (second, high)):
        alone = tmp_path / "alone.json"
        run(evaluation, *data, "--checkpoint_path", path, "--engine", "float", "--json", alone)
        assert json.loads(alone.read_text())["acc"] == figures["acc"]
    assert lines[-1].startswith("second passes: ") and len(lines) >= 4


def test_the_threshold_can_be_set_on_views(two_and_four, data, tmp_path):
    first, second = two_and_four
    records = []
    for flags in ([], ["--augmented"], ["--augmented"]):
        words = ["--checkpoint_path", first, "--second", second, "--validation", 12, "--json", tmp_path / "out.json"]
        run(two_passes, *data, *words, *flags)
        records.append(json.loads((tmp_path / "out.json").read_text()))
    images, views, again = (record["threshold"] for record in records)
    assert images != views == again and 0 < views < 1
    alone = [[figures["acc"] for figures in list(record["networks"].values())[:2]] for record in records]
    assert alone[0] == alone[1]  # which images set the threshold changes neither network


@pytest.mark.parametrize("words", [["--seed", 2], ["--validation", 10]])
def test_networks_that_learned_the_images_of_the_threshold_are_refused(two_and_four, data, capsys, words):
    first, second = two_and_four
    options = ["--checkpoint_path", first, "--second", second, "--validation", 12, *words]
    line = refused(capsys, two_passes, *data, *options)
    assert "two.ckpt: expected the best network on" in line and "on 12 validation images of seed 1" in line


def test_what_has_no_passes_is_said(two_and_four, runs, data, capsys):
    first, second = two_and_four
    dynamic = runs["dynamic3"][0] / "dynamic3.ckpt"
    of = ["--checkpoint_path", first, "--second", dynamic]
    assert "expected a static network, found one whose layers choose" in refused(capsys, two_passes, *data, *of)
    assert "expected a static network of fewer bits" in refused(capsys, two_passes, *data, "--second", second)
    turned = ["--checkpoint_path", second, "--second", first]
    assert "target_bits: expected bits between the networks' 4 and 2" in refused(capsys, two_passes, *data, *turned)
