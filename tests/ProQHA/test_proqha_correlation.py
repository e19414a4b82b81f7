"""How well scores rank true increases of the loss: the true ones by hand, and what is printed."""

import json

import numpy as np
import pytest
from mindspore import Tensor
from proqha_tiny import batch, labels, quantized
from scipy.stats import spearmanr
from script_runs import refused, run

from common.evaluation import score
from ProQHA import correlation
from ProQHA.ranking import TrueLoss, loss, singles
from ProQHA.scores import Lowering

BITS = np.array([[5, 4], [3, 6], [8, 3], [4, 2]])
LOWERED, CLIPS = np.maximum(BITS - 3, 2), np.array([1.1, 0.9, 1.7, 0.6])


def test_every_quantizer_that_can_be_lowered_is_so_alone():
    candidates = singles(BITS, LOWERED)
    assert len(candidates) == 7  # one has 2 bits
    changed = [np.argwhere(one != BITS).tolist() for one in candidates]
    assert changed == [[[i, j]] for i in range(4) for j in (0, 1) if (i, j) != (3, 1)]
    assert all(one[i, j] == LOWERED[i, j] for one, ((i, j),) in zip(candidates, changed))


def test_true_increases_are_losses_of_the_candidates(pynative):
    network, parts = quantized(BITS), [(batch(10, 3), labels(10)), (batch(7, 4), labels(7))]
    losses = TrueLoss(batch(), [parts, parts[:1]])(network, Lowering(LOWERED, CLIPS), singles(BITS, LOWERED))
    for one, value in zip(singles(BITS, LOWERED), losses):
        candidate = quantized(BITS)
        Lowering(LOWERED, CLIPS).apply(candidate, one)
        logits = candidate(Tensor(np.concatenate([x for x, _ in parts]))).asnumpy()
        whole = score(logits, np.concatenate([y for _, y in parts]))[2] / 17
        assert value == pytest.approx([whole, score(logits[:10], parts[0][1])[2] / 10], rel=1e-5)
    assert loss(network, parts) == pytest.approx(loss(quantized(BITS), parts))


def test_the_script_prints_the_rank_correlations(data, tiny_float, tmp_path, quickly):
    words = [*data, "--arch", "tiny", "--mode", "pynative", "--resume", tiny_float / "final.ckpt", "--interval", 5]
    lines = run(correlation, *words, "--score_images", 12, "--loss_images", 20, "--json", tmp_path / "out.json")
    record = json.loads((tmp_path / "out.json").read_text())
    assert lines[0].startswith("8 quantizers lowered by 5 bits, one at a time: loss ") and " on 20 images, " in lines[0]
    printed = json.loads(lines[-1].removeprefix("rank correlation: "))
    assert set(printed) == {"fisher", "adam", "random", "random_spread", "halves"}
    for name in ("fisher", "adam"):
        wanted = spearmanr(record["scores"][name], record["true"])[0]
        assert record["correlation"][name] == pytest.approx(wanted) and printed[name] == pytest.approx(wanted, abs=5e-4)
    assert abs(printed["random"]) < 0.1 and printed["random_spread"] == pytest.approx(1 / 7**0.5, abs=0.05)
    assert len(record["true"]) == 8 and record["images"] == 20


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--bits", 2], "interval: "),
        (["--score_images", 40], "score_images: expected at most "),
        (["--interval", 7], "interval: expected 1 to 6"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(capsys, data, tiny_float, quickly, words, expected):
    command = [*data, "--arch", "tiny", "--mode", "pynative", "--resume", tiny_float / "final.ckpt"]
    line = refused(capsys, correlation, *command, "--score_images", 12, "--loss_images", 20, *words)
    assert expected in line
