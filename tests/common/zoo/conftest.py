"""A server, a cache of its own, and an entry whose file the server has."""

import hashlib
from dataclasses import replace

import pytest
from zoo_server import CONTENT, serving

from common import zoo
from common.zoo import registry


@pytest.fixture
def server():
    with serving() as found:
        yield found


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The folder of checkpoints of an empty cache; no mirror is configured."""
    monkeypatch.setenv("LOWBITZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LOWBITZOO_MIRRORS", raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return tmp_path / "cache" / "checkpoints"


@pytest.fixture
def entry(monkeypatch, cache):
    """An external entry of the server's content, registered as ``published-net``."""
    digest = hashlib.sha256(CONTENT).hexdigest()
    found = replace(
        zoo.find("resnet20-cifar10"),
        name="published-net",
        file="net.ckpt",
        url="http://127.0.0.1:1/net.ckpt",
        size=len(CONTENT),
        sha256=digest,
    )
    monkeypatch.setitem(registry.entries(), found.name, found)
    return found
