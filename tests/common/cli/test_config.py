import itertools
from pathlib import Path

import pytest
import yaml
from config_options import make_parser

from common.cli import config
from common.cli.entry_point import entry_point
from common.errors import ConfigError


def from_yaml(tmp_path, text, argv=()):
    file = tmp_path / "options.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return config.parse(make_parser(), ["--config", str(file), *argv])


def message(call, *args):
    with pytest.raises(ConfigError) as caught:
        call(*args)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_later_source_wins(tmp_path):
    method, user = tmp_path / "method.yaml", tmp_path / "user.yaml"
    method.write_text("bits: 4\nseed: 7\nbatch_size: 16\n")
    user.write_text("seed: 8\nbatch_size: 32\n")
    argv = ["--config", str(user), "--batch_size", "64"]
    for args in (
        config.parse(make_parser(method), argv),
        config.parse(make_parser(), argv, config_file=method),
    ):
        assert (args.bits, args.seed, args.batch_size, args.lr) == (4, 8, 64, 0.1)


def test_a_parser_keeps_nothing_of_an_earlier_parse(tmp_path):
    parser = make_parser()
    (tmp_path / "a.yaml").write_text("bits: 2")
    assert config.parse(parser, ["--config", str(tmp_path / "a.yaml")]).bits == 2
    assert config.parse(parser, []).bits == 8


@pytest.mark.parametrize("argv", ([], None))
def test_defaults_and_the_process_command_line(monkeypatch, argv):
    monkeypatch.setattr("sys.argv", ["eval.py"])
    args = config.parse(make_parser(), argv)
    assert (args.dataset, args.device_target, args.mode, args.output_dir) == ("digits", "CPU", "graph", Path("outputs"))
    assert args.num_samples is None and args.json is None and args.config is None


@pytest.mark.parametrize("name", ["_".join, "-".join])
@pytest.mark.parametrize("form", [("--{}", "3"), ("--{}=3",)])
def test_hyphen_and_underscore_are_one(name, form):
    parser = make_parser()
    parser.add_argument("--k-wide", type=int)
    words = itertools.chain.from_iterable(
        [part.format(name(option)) for part in form]
        for option in (("batch", "size"), ("num", "samples"), ("k", "wide"))
    )
    args = config.parse(parser, list(words))
    assert (args.batch_size, args.num_samples, args.k_wide) == (3, 3, 3)


def test_values_and_what_follows_a_double_hyphen_are_not_respelled():
    parser = make_parser()
    parser.add_argument("rest", nargs="*")
    args = config.parse(parser, ["--note=--batch_size-x", "--dataset-path", "a-b_c", "--", "--batch-size"])
    assert (args.note, args.dataset_path, args.rest) == ("--batch_size-x", Path("a-b_c"), ["--batch-size"])


@pytest.mark.parametrize("option", ["--no-clip", "--no_clip"])
def test_flags(tmp_path, option):
    assert config.parse(make_parser(), ["--clip"]).clip is True
    assert from_yaml(tmp_path, "clip: true", [option]).clip is False


@pytest.mark.parametrize("text", ["true", "True", "yes", "on", "false", "FALSE", "no", "off"])
def test_flags_in_a_file_are_those_of_yaml(tmp_path, text):
    assert from_yaml(tmp_path, f"clip: {text}").clip is yaml.safe_load(text)


def test_aliases(tmp_path):
    parser = make_parser()
    parser.add_alias("--checkpoint_file_path", "--checkpoint_path")
    assert config.parse(parser, ["--checkpoint-file-path", "a.ckpt"]).checkpoint_path == Path("a.ckpt")
    assert config.parse(make_parser(), ["--learning_rate", "2"]).lr == 2
    assert config.parse(make_parser(), []).lr == 0.1
    assert from_yaml(tmp_path, "learning-rate: 3").lr == 3


@pytest.mark.parametrize(
    "text, name, value",
    [
        ("lr: 1e-4", "lr", 1e-4),
        ("lr: 1", "lr", 1.0),
        ("lr: '0.5'", "lr", 0.5),
        ("note: 010", "note", "010"),
        ("note: 12:30:00", "note", "12:30:00"),
        ("note: 2024-01-01", "note", "2024-01-01"),
        ("note: 'true'", "note", "true"),
        ("note: é", "note", "é"),
        ("steps: [3, 4, 5]", "steps", [3, 4, 5]),
        ("steps:\n- 3\n", "steps", [3]),
        ("steps: []", "steps", []),
        ("steps: 6", "steps", [6]),
        ("pair: [1, 2e-3]", "pair", [1.0, 0.002]),
        ("num_samples: null", "num_samples", None),
        ("num-samples: 5", "num_samples", 5),
        ("output_dir: a b/c", "output_dir", Path("a b/c")),
        ("bits: 32", "bits", 32),
    ],
)
def test_yaml_values_have_the_type_of_their_option(tmp_path, text, name, value):
    parsed_value = getattr(from_yaml(tmp_path, text), name)
    assert parsed_value == value and type(parsed_value) is type(value)


def test_null_undoes_what_the_method_set(tmp_path):
    (tmp_path / "method.yaml").write_text("num_samples: 100")
    (tmp_path / "user.yaml").write_text("num_samples: null")
    parser = make_parser(tmp_path / "method.yaml")
    assert config.parse(parser, ["--config", str(tmp_path / "user.yaml")]).num_samples is None


@pytest.mark.parametrize(
    "text, parts",
    [
        ("bacth_size: 3", ["line 1", "bacth_size", "batch_size"]),
        ("seed: 1\n\nbits: 9", ["line 3", "bits", "expected 2 to 8 or 32, found 9"]),
        ("batch_size: 0", ["batch_size", "expected a whole number from 1 up, found 0"]),
        ("batch_size: 1.5", ["batch_size", "1.5"]),
        ("batch_size: true", ["batch_size", "true"]),
        ("batch_size: null", ["batch_size", "null"]),
        ("batch_size:", ["batch_size", "null"]),
        ("batch_size: [1]", ["batch_size", "a list"]),
        ("batch_size: {a: 1}", ["batch_size", "a mapping"]),
        ("dataset: mnist", ["dataset", "mnist", "cifar10"]),
        ("clip: 1", ["clip", "true or false", "1"]),
        ("clip: 'true'", ["clip", "true or false"]),
        ("no_clip: true", ["no_clip"]),
        ("note: no", ["note", "no", "quotes"]),
        ("note: !!python/name:os.system", ["note"]),
        ("steps: [1, two]", ["steps", "two"]),
        ("steps: [1, [2]]", ["steps", "a list"]),
        ("pair: [1]", ["pair", "2 values", "1"]),
        ("ratio: 0", ["ratio", "at most 1"]),
        ("ratio: nan", ["ratio", "nan"]),
        ("lr: .inf", ["lr", ".inf"]),
        ("seed: 1\nseed: 1", ["line 2", "seed", "twice"]),
        ("lr: 1\nlearning_rate: 1", ["learning_rate", "twice"]),
        ("config: a.yaml", ["config"]),
        ("help: true", ["help"]),
        ("? [a]\n: 1", ["unknown key"]),
        ("<<: {bits: 4}", ["unknown key"]),
        ("[1, 2]", ["a list"]),
        ("word", ["a single value"]),
        ("", ["nothing"]),
        ("bits: [1", ["line 1", "YAML"]),
        ("bits: 4\n---\nbits: 4", ["YAML"]),
        ('note: "\\UFFFFFFFF"', ["YAML"]),
        ("note: *x", ["YAML"]),
        ("[" * 5000, ["YAML"]),
        (b"bits: \xff", ["YAML"]),
        (b"bits: \0", ["YAML"]),
    ],
)
def test_a_wrong_file_is_one_clear_line(tmp_path, text, parts):
    line = message(from_yaml, tmp_path, text)
    assert "options.yaml" in line and len(line) < 400
    assert [part for part in parts if part not in line] == []


@pytest.mark.parametrize("name", ["missing.yaml", ".", "a/b.yaml"])
def test_a_file_that_cannot_be_read(tmp_path, name):
    assert str(tmp_path) in message(config.parse, make_parser(), ["--config", str(tmp_path / name)])
    assert str(tmp_path) in message(config.parse, make_parser(), [], tmp_path / name)


@pytest.mark.parametrize(
    "argv, parts",
    [
        (["--bacth-size", "3"], ["--bacth-size", "batch_size"]),
        (["--batch", "3"], ["--batch"]),
        (["--qqq=1"], ["--qqq"]),
        (["word"], ["word"]),
        (["--bits", "9"], ["--bits", "expected 2 to 8 or 32, found 9"]),
        (["--bits", "x"], ["--bits", "found x"]),
        (["--bits", ""], ["--bits", "empty"]),
        (["--bits", "9" * 5000], ["--bits", "..."]),
        (["--bits"], ["--bits"]),
        (["--config"], ["--config"]),
        (["--seed", "-1"], ["--seed", "0 to 4294967295"]),
        (["--ratio", "1.5"], ["--ratio", "1.5"]),
        (["--lr", "0"], ["--lr", "0"]),
        (["--lr", "inf"], ["--lr", "inf"]),
        (["--mode", "fast"], ["--mode", "fast", "pynative"]),
        (["--dataset_path", " "], ["--dataset_path", "empty"]),
        (["--dataset_path", "~no-such-user-here/x"], ["--dataset_path", "~"]),
    ],
)
def test_a_wrong_command_line_is_one_clear_line(argv, parts):
    line = message(config.parse, make_parser(), argv)
    assert [part for part in parts if part not in line] == [] and len(line) < 250


def test_a_script_ends_with_one_line_and_status_2(capsys):
    with pytest.raises(SystemExit) as end:
        entry_point(lambda: config.parse(make_parser(), ["--bits", "9"]))()
    out, err = capsys.readouterr()
    assert (end.value.code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("error: --bits: expected 2 to 8 or 32, found 9")


def test_help_shows_the_defaults_that_hold(tmp_path, capsys):
    (tmp_path / "method.yaml").write_text("bits: 5\ndataset: imagenet")
    with pytest.raises(SystemExit) as end:
        config.parse(make_parser(tmp_path / "method.yaml"), ["--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert end.value.code == 0
    assert "bits (default: 5)" in text and "(default: imagenet)" in text and "default: None" not in text


def test_required_options_may_stand_in_the_file(tmp_path):
    parser = config.build_parser("Test")
    parser.add_argument("--arch", required=True)
    (tmp_path / "a.yaml").write_text("arch: resnet20")
    assert config.parse(parser, ["--config", str(tmp_path / "a.yaml")]).arch == "resnet20"
    assert "--arch" in message(config.parse, parser, [])
