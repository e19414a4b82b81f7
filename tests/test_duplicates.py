"""No two places outside of tests share more than six lines of logic."""

import importlib

import pytest

from common.zoo.registry import ROOT

LINES = [f"value_{number} = compute({number})" for number in range(8)]
DOCSTRING = '"""Words.\n\n{}\n"""\n'


@pytest.fixture
def check(monkeypatch):
    """The script."""
    monkeypatch.syspath_prepend(ROOT / "scripts")
    return importlib.import_module("check_duplicates")


def test_nothing_stands_twice(check):
    assert check.pairs(check.sources()) == []


@pytest.mark.parametrize(("count", "pairs"), [(6, []), (7, ["a.py:1-7 ~ b.py:2-8"]), (8, ["a.py:1-8 ~ b.py:2-9"])])
def test_more_than_six_lines_are_found_once(check, count, pairs):
    text = "\n".join(LINES[:count])
    assert check.pairs({"a.py": text, "b.py": f"other = 1\n{text}\n"}) == pairs


def test_indentation_comments_and_blank_lines_hide_nothing(check):
    indented = "def f():\n" + "".join(f"    {line}  # note\n\n" for line in LINES)
    assert check.pairs({"a.py": "\n".join(LINES), "b.py": indented}) == ["a.py:1-8 ~ b.py:2-16"]


def test_two_places_of_one_file_count(check):
    assert check.pairs({"a.py": "\n".join([*LINES, "between = 1", *LINES])}) == ["a.py:1-8 ~ a.py:10-17"]


@pytest.mark.parametrize(
    "text",
    [
        DOCSTRING.format("\n".join(LINES)),
        "".join(f"import module_{number}\n" for number in range(9)),
        "__all__ = [\n" + "".join(f'    "name_{number}",\n' for number in range(9)) + "]\n",
        "x = [\n" + "[\n" * 9 + "]\n" * 9 + "]\n",
    ],
    ids=["docstring", "imports", "exports", "punctuation"],
)
def test_what_is_no_logic_may_stand_twice(check, text):
    assert check.pairs({"a.py": text, "b.py": text}) == []
