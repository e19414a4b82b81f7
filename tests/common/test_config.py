import argparse
import itertools
import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from common import config
from common.errors import ConfigError, entry_point


def make_parser(config_file=None):
    parser = config.build_parser("Test", config_file)
    parser.add_argument("--bits", type=config.int_range(2, 8, 32), default=8, help="bits")
    parser.add_argument("--lr", "--learning-rate", type=config.positive_float, default=0.1, help="learning rate")
    parser.add_argument("--ratio", type=config.fraction, default=1.0)
    parser.add_argument("--clip", action=argparse.BooleanOptionalAction, default=False, help="clip")
    parser.add_argument("--steps", type=int, nargs="*", default=[1, 2], help="steps")
    parser.add_argument("--pair", type=float, nargs=2)
    parser.add_argument("--note", default="")
    return parser


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
    found = getattr(from_yaml(tmp_path, text), name)
    assert found == value and type(found) is type(value)


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
    found = message(from_yaml, tmp_path, text)
    assert "options.yaml" in found and len(found) < 400
    assert [part for part in parts if part not in found] == []


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
    found = message(config.parse, make_parser(), argv)
    assert [part for part in parts if part not in found] == [] and len(found) < 250


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


def test_infinite_numbers_restore_themselves(tmp_path):
    first = config.parse(make_parser(), ["--pair", "inf", "-3"])
    file = config.save(first, tmp_path)
    assert config.parse(make_parser(), ["--config", str(file)]).pair == [float("inf"), -3.0]


def test_describe_is_sorted_lines_that_yaml_reads(tmp_path):
    note = "a: [b], 'c' # d" + " word" * 50
    args = config.parse(make_parser(), ["--note", note, "--clip", "--steps", "1", "2", "--lr", "1e-5"])
    lines = config.describe(args).splitlines()
    assert lines == sorted(lines) and all(": " in line for line in lines) and len(lines) == len(vars(args))
    assert "steps: [1, 2]" in lines and "clip: true" in lines and "dataset_path: null" in lines
    assert yaml.safe_load(config.describe(args)) == config.as_dict(args)
    assert config.as_dict(args)["note"] == note and config.as_dict(args)["output_dir"] == "outputs"


text = st.text(st.characters(blacklist_categories=["Cs"]), max_size=12)
words = st.fixed_dictionaries(
    {},
    optional={
        "bits": st.sampled_from(["2", "8", "32"]),
        "lr": st.floats(1e-12, 1e12).map(repr),
        "ratio": st.floats(1e-9, 1).map(repr),
        "steps": st.lists(st.integers(0, 99).map(str), max_size=3),
        "pair": st.lists(st.floats().map(repr), min_size=2, max_size=2).filter(lambda pair: "nan" not in pair),
        "note": text | st.sampled_from(["null", "true", "1", "~", "- a", "{}", ".inf", "=", "<<", "x" * 300]),
        "checkpoint_path": st.sampled_from(["a.ckpt", "../a b.pth", "null", "1", "- a"]),
        "num_samples": st.integers(1, 9).map(str),
    },
)


@settings(max_examples=60, deadline=None)
@given(words, st.booleans())
def test_the_saved_configuration_restores_itself(given_words, clip):
    argv = ["--clip" if clip else "--no-clip"]
    for name, value in given_words.items():
        argv += [f"--{name}={value}"] if isinstance(value, str) else []
    parser = make_parser()
    first = config.parse(parser, argv)
    for name in {"steps", "pair"} & given_words.keys():
        kind = int if name == "steps" else float
        setattr(first, name, [kind(item) for item in given_words[name]])
    with tempfile.TemporaryDirectory() as folder:
        file = config.save(first, Path(folder) / "new")
        second = config.parse(parser, ["--config", str(file)])
        assert [found.name for found in file.parent.iterdir()] == ["config.yaml"]
    assert second.config == file
    second.config = None
    assert second == first


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_damaged_file_raises_anything_else(data):
    good = b'bits: 4\nlr: 1e-4\nclip: true\nsteps: [1, 2]\nnote: "a\\tb" # c\npair:\n- 1\n- &x 2\n'
    content = bytearray(good[: data.draw(st.integers(0, len(good)))])
    for _ in range(data.draw(st.integers(0, 4))):
        content.insert(
            data.draw(st.integers(0, len(content))),
            data.draw(st.sampled_from(b"\0\xff:[]{}!&*%@`|>-?\"'\\#~<=\n\t,0Ux")),
        )
    with tempfile.NamedTemporaryFile(suffix=".yaml") as file:
        Path(file.name).write_bytes(bytes(content))
        try:
            args = config.parse(make_parser(), ["--config", file.name])
        except ConfigError as error:
            assert file.name in str(error)
        else:
            assert args.bits in (*range(2, 9), 32)


def test_saving_where_it_cannot_be_done(tmp_path):
    (tmp_path / "file").write_text("kept")
    assert str(tmp_path / "file") in message(config.save, config.parse(make_parser(), []), tmp_path / "file")
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.parametrize("name", ["run", "w4a4_", "a b", "cifar10_resnet20_w2.0a2.0", "best2"])
def test_names_of_runs(name):
    assert config.run_name(name) == name


@pytest.mark.parametrize("name", ["best", "last", "search", "a/b", "..", ".", " ", ""])
def test_names_that_a_run_cannot_have(name):
    with pytest.raises(argparse.ArgumentTypeError, match="a name without slashes, other than best, last, search"):
        config.run_name(name)
