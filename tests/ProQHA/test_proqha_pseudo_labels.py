"""``--pseudo_labels``: scores by the classes that the network chooses, whatever the labels are."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import proqha_tiny as tiny
import pytest
from proqha_scoring import BITS, LOWERED, candidates
from script_runs import refused

from common.cli.training import Images
from ProQHA import search
from ProQHA.quant_config import QuantConfig
from ProQHA.searching import ScoreOptions, make_scorer


def scores(kind: str, pseudo: bool, labels: np.ndarray) -> np.ndarray:
    source = replace(tiny.images(), labels=labels)
    options = ScoreOptions(kind, 16, pseudo, 0, 8, 1e-3, None, 0)
    asked = SimpleNamespace(score=options, start=SimpleNamespace(arch="Tiny"))
    network = tiny.quantized(BITS)
    data = Images(source, source, tiny.PREPROCESSING)
    scorer = make_scorer(asked, network, QuantConfig(signed=("mix",)), data, None)
    return scorer(network, scorer.plan(network, LOWERED), candidates())


@pytest.mark.parametrize("kind", ["fisher", "adam"])
def test_labels_are_not_read(kind, monkeypatch, pynative):
    tiny.register(monkeypatch)
    right = tiny.images().labels
    wrong = np.roll(right, 1)
    np.testing.assert_array_equal(scores(kind, True, right), scores(kind, True, wrong))
    assert (scores(kind, False, right) != scores(kind, False, wrong)).any()


def test_accuracy_has_no_use_for_them(capsys, tmp_path):
    words = ["--pseudo_labels", "--score", "acc", "--output_dir", str(tmp_path)]
    assert "pseudo_labels: expected --score fisher or adam, found acc" in refused(capsys, search, *words)
    assert not list(tmp_path.iterdir())
