"""The picture in the README is the one that the script draws from today's tree."""

import importlib
import xml.etree.ElementTree

import pytest

from common.zoo.registry import ROOT


@pytest.fixture
def drawing(monkeypatch):
    """The script that draws it."""
    monkeypatch.syspath_prepend(ROOT / "scripts")
    return importlib.import_module("draw_architecture")


def test_the_committed_picture_is_todays(drawing):
    committed = drawing.PICTURE.read_text(encoding="utf-8")
    assert committed == drawing.picture(), "python scripts/draw_architecture.py draws it anew"
    assert f"({drawing.PICTURE.relative_to(ROOT).as_posix()})" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_room_and_method_has_a_box(drawing):
    picture = xml.etree.ElementTree.fromstring(drawing.picture())
    names = {node.text for node in picture.iter() if node.get("class") == "name"}
    rooms = {path.name.removesuffix(".py") for path in (ROOT / "common").iterdir() if path.name[0] not in "._"}
    assert names == rooms | set(drawing.METHODS) | {"lowbitzoo"}
