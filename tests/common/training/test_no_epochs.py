"""A run of 0 epochs: the network as it was given, tested and kept; no step of an optimizer."""

from dataclasses import replace

import numpy as np
import pytest
import training_run as run

from common import checkpoint
from common.training import Callback, OtherRunError
from common.training import trainer as engine

CONFIG = replace(run.CONFIG, epochs=0)


class Reporting(Callback):
    def report(self):
        return {"bits": 4}

    def finished(self):
        return False


def trainer(folder, network, config=CONFIG, **options):
    return run.trainer(folder, config, network=network, **options)


def test_nothing_is_trained_and_the_test_is_recorded(tmp_path, no_picture, pynative, monkeypatch):
    network = run.Small()
    before = {name: p.asnumpy().copy() for name, p in network.parameters_and_names()}
    made = trainer(tmp_path, network, callbacks=[Reporting()])
    monkeypatch.setattr(engine, "_finite", lambda *_: pytest.fail("a step of training"))
    (record,) = made.run()
    assert record["epoch"] == made.epochs == 0 and record["bits"] == 4 and record["finished"] is False
    assert 0 <= record["test_acc"] <= 1 and "loss" not in record
    for name, parameter in network.parameters_and_names():
        np.testing.assert_array_equal(parameter.asnumpy(), before[name])
    assert (tmp_path / "last.ckpt").exists() and (tmp_path / "final.ckpt").exists()
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 1


def test_a_second_run_goes_on_and_has_nothing_to_do(tmp_path, no_picture, pynative):
    first, network = trainer(tmp_path, run.Small()).run(), run.Small()
    weight = network.conv.weight
    weight.set_data(weight + 1)
    made = trainer(tmp_path, network)
    assert made.run() == first and made.epochs == 0
    np.testing.assert_array_equal(
        weight.asnumpy(), checkpoint.load(tmp_path / "last.ckpt").tensors["network/conv.weight"]
    )


def test_it_is_another_run_than_one_of_epochs(tmp_path, no_picture, pynative):
    trainer(tmp_path, run.Small()).run()
    with pytest.raises(OtherRunError):
        trainer(tmp_path, run.Small(), config=run.CONFIG).run()


def test_as_few_images_as_there_are(tmp_path, no_picture, pynative):
    made = trainer(tmp_path, run.Small(), config=replace(CONFIG, batch_size=10_000))
    assert made.run()[0]["epoch"] == 0
