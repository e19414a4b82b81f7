"""The registry names every checkpoint of the repository, once, with fields of the right kind."""

import importlib
import re
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from common import zoo
from common.data import CIFAR10, CIFAR10_IMAGENET_STATS, IMAGENET, Preprocessing
from common.errors import ConfigError
from common.quant.level_table import level_table
from common.zoo import registry
from common.zoo.registry import ROOT, SOURCES

ENTRIES = list(zoo.entries().values())
METHODS = ("AdderQuant", "DAMBQ", "DynamicQuant", "LDNQ", "ProQHA")


def test_every_checkpoint_of_the_repository_is_registered_once():
    files = sorted(
        str(path.relative_to(ROOT)) for path in (*ROOT.glob("*/checkpoints/*"), *ROOT.glob("common/zoo/files/*"))
    )
    assert files == sorted(entry.file for entry in ENTRIES if entry.shipped)


def test_files_in_the_cache_have_names_of_their_own():
    names = [entry.file for entry in ENTRIES if entry.file and not entry.shipped]
    assert len(set(names)) == len(names) and all(
        re.fullmatch(r"\w[\w.-]*\.(ckpt|safetensors|pth|th)", n) for n in names
    )


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_fields(entry):
    assert re.fullmatch(r"[a-z0-9_]+(-[a-z0-9]+)+", entry.name)
    assert entry.method in METHODS and entry.source in SOURCES and entry.network and entry.bits
    assert entry.dataset in ("digits", "cifar10", "imagenet")
    assert entry.size is None or (isinstance(entry.size, int) and entry.size > 0)
    assert entry.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", entry.sha256)
    assert Preprocessing.from_dict(entry.preprocessing).image_size in (32, 224)
    assert set(entry.expected) == {"accuracy", "samples", "options"} and 0 < entry.expected["accuracy"] <= 1
    assert isinstance(entry.recipe, list) and all(isinstance(line, str) for line in entry.recipe)
    importlib.import_module(f"{entry.method}.storage")  # level tables are registered by their methods
    assert all(level_table(name) for name in entry.levels) and entry.citation
    if entry.shipped:
        assert entry.url is None and entry.sha256 and entry.size and entry.recipe
        assert all(
            line.startswith("python ") and (ROOT / entry.method / line.split()[1]).exists() for line in entry.recipe
        )
        assert bool(entry.levels) == bool(entry.start) == (not entry.bits.startswith("float"))
        count = entry.expected["accuracy"] * entry.expected["samples"]
        assert abs(count - round(count)) < 1e-6 and entry.expected["samples"] in (360, 10_000)
    else:
        assert urlsplit(entry.url).scheme == "https"
        assert (entry.sha256 and entry.size and entry.file) or "not been seen here" in entry.note


def test_the_shipped_files_are_small_together():
    assert sum(entry.size for entry in ENTRIES if entry.shipped) < 4_000_000


@pytest.mark.parametrize("entry", [entry for entry in ENTRIES if entry.shipped], ids=lambda entry: entry.name)
def test_what_ships_has_a_licence_and_so_has_its_start(entry):
    licence, text = entry.licence.split(", ")
    assert licence in ("Apache-2.0", "BSD-2-Clause", "BSD-3-Clause") and (ROOT / text).is_file()
    if entry.start:
        start = zoo.find(entry.start)
        assert start.bits.startswith("float") and start.licence == entry.licence and start.dataset == entry.dataset


@pytest.mark.parametrize("entry", [entry for entry in ENTRIES if not entry.shipped], ids=lambda entry: entry.name)
def test_external_networks_get_their_preprocessing_from_the_method(entry):
    of_method = {"AdderQuant": CIFAR10, "LDNQ": CIFAR10_IMAGENET_STATS, "DynamicQuant": IMAGENET}
    expected = IMAGENET if entry.dataset == "imagenet" else of_method[entry.method]
    assert Preprocessing.from_dict(entry.preprocessing) == expected


def test_the_written_registry_reads_the_same(tmp_path):
    registry.write(tmp_path / "a.yaml", ENTRIES)
    assert list(registry.read(tmp_path / "a.yaml").values()) == ENTRIES
    assert (tmp_path / "a.yaml").read_text() == registry.REGISTRY.read_text()


@pytest.mark.parametrize("change", ["twice", "source", "- name: a\n", "- {name: a, more: 1}\n", "1", "[", None])
def test_a_damaged_registry_is_one_line(tmp_path, change):
    path = tmp_path / "a.yaml"
    if change == "twice":
        registry.write(path, [ENTRIES[0], replace(ENTRIES[1], name=ENTRIES[0].name)])
    elif change == "source":
        registry.write(path, [replace(ENTRIES[0], source="elsewhere")])
    elif change is not None:
        path.write_text(change)
    with pytest.raises(ConfigError, match=r"a\.yaml: expected"):
        registry.read(path)


def test_an_unknown_name_gets_near_ones():
    with pytest.raises(ConfigError, match="did you mean resnet20-digits"):
        zoo.find("resnet20_digits")
    with pytest.raises(ConfigError, match=r"found 'x'; python -m lowbitzoo list"):
        zoo.find("x")
