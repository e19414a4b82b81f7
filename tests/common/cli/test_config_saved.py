"""Configurations are written so that they restore themselves, and no damaged file does harm."""

import tempfile
from pathlib import Path

import pytest
import yaml
from config_options import make_parser
from hypothesis import given, settings
from hypothesis import strategies as st

from common.cli import config, saved_config
from common.errors import ConfigError


def test_infinite_numbers_restore_themselves(tmp_path):
    first = config.parse(make_parser(), ["--pair", "inf", "-3"])
    file = saved_config.save(saved_config.as_dict(first), tmp_path)
    assert config.parse(make_parser(), ["--config", str(file)]).pair == [float("inf"), -3.0]


def test_a_saved_file_is_sorted_lines_that_yaml_reads(tmp_path):
    note = "a: [b], 'c' # d" + " word" * 50
    args = config.parse(make_parser(), ["--note", note, "--clip", "--steps", "1", "2", "--lr", "1e-5"])
    saved = saved_config.save(saved_config.as_dict(args), tmp_path).read_text(encoding="utf-8")
    lines = [line for line in saved.splitlines() if not line.startswith("#")]
    assert lines == sorted(lines) and all(": " in line for line in lines)
    assert "steps: [1, 2]" in lines and "clip: true" in lines
    assert yaml.safe_load(saved)["note"] == note and saved_config.as_dict(args)["output_dir"] == "outputs"


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
        file = saved_config.save(saved_config.as_dict(first), Path(folder) / "new")
        second = config.parse(parser, ["--config", str(file)])
        assert [path.name for path in file.parent.iterdir()] == ["config.yaml"]
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
    with pytest.raises(ConfigError) as caught:
        saved_config.save(saved_config.as_dict(config.parse(make_parser(), [])), tmp_path / "file")
    assert str(tmp_path / "file") in str(caught.value) and "\n" not in str(caught.value)
    assert (tmp_path / "file").read_text() == "kept"
