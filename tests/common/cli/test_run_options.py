"""The command line as values that stay as they are."""

import dataclasses
from pathlib import Path

import pytest

from common.cli import config
from common.cli.run_options import DeviceOptions, run_options
from common.data import DataSelection
from common.runtime import context


def parsed(*words, evaluates=True):
    return run_options(config.parse(config.build_parser("Test", evaluates=evaluates), list(map(str, words))))


def test_options_become_values():
    options = parsed("--dataset_path", "images", "--seed", 7, "--num_samples", 5, "--json", "a.json", "--wnids", "ids")
    assert options.data == DataSelection("cifar10", Path("images"), classes=Path("ids"), num_samples=5)
    assert options.device == DeviceOptions("CPU", "graph", 7) and options.seed == 7
    assert (options.json, options.checkpoint_path, options.batch_size) == (Path("a.json"), None, 128)
    assert options.values["dataset_path"] == "images" and options.values["json"] == "a.json"
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.seed = 8


def test_a_script_that_trains_has_neither_checkpoint_nor_json():
    options = parsed(evaluates=False)
    assert options.json is None and options.checkpoint_path is None and options.data == DataSelection("digits")


def test_another_data_set_is_another_value():
    options = parsed()
    other = options.on_dataset("imagenet")
    assert (other.data.dataset, other.values["dataset"]) == ("imagenet", "imagenet")
    assert (options.data.dataset, options.values["dataset"]) == ("digits", "digits")


def test_the_device_is_set_up_as_the_options_say(monkeypatch):
    told = []
    monkeypatch.setattr(context, "setup", lambda *values: told.append(values))
    parsed(
        "--device_target", "GPU", "--device_id", 1, "--mode", "pynative", "--threads", 3, "--seed", 9
    ).device.set_up()
    assert told == [("GPU", "pynative", 9, 3, 1)]
