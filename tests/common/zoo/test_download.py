"""Whatever a server does, nothing wrong takes the place of a checkpoint, and the message names the cause."""

import contextlib
import io
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import requests
from zoo_server import CONTENT

from common.errors import CheckpointError
from common.zoo import registry, transfer, web
from common.zoo.download import addresses, download
from common.zoo.store import fault_of

HALF = len(CONTENT) // 2


def refused(entry, *mirrors, **options):
    with pytest.raises(CheckpointError) as caught:
        download(entry, list(mirrors), **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def names(cache):
    return sorted(path.name for path in cache.iterdir())


def part(cache, content):
    cache.mkdir(parents=True, exist_ok=True)
    (cache / ".net.ckpt.part").write_bytes(content)


@pytest.mark.parametrize("fault", ["", "no length", "slow"])
def test_a_right_file_arrives_whole(entry, server, cache, fault):
    server.faults = [fault]
    assert download(entry, [server.address]) == cache / "net.ckpt"
    assert (cache / "net.ckpt").read_bytes() == CONTENT and names(cache) == [".net.ckpt.lock", "net.ckpt"]
    assert download(entry, [server.address]) == cache / "net.ckpt" and server.requests == [0]


def test_a_connection_that_dies_is_continued_at_once(entry, server, cache):
    server.faults = ["die", "die"]
    assert download(entry, [server.address]).read_bytes() == CONTENT
    assert server.requests == [0, HALF, HALF + HALF // 2]


def test_a_transfer_that_failed_is_continued_by_the_next_call(entry, server, cache):
    server.faults = ["die", 503]
    assert "503" in refused(entry, server.address)
    assert names(cache) == [".net.ckpt.lock", ".net.ckpt.part"]
    assert download(entry, [server.address]).read_bytes() == CONTENT
    assert server.requests == [0, HALF, HALF]


@pytest.mark.parametrize("fault", ["ignore range", "other range"])
def test_a_server_that_does_not_continue_begins_anew(entry, server, cache, fault):
    part(cache, CONTENT[:HALF])
    server.faults = [fault]
    assert download(entry, [server.address]).read_bytes() == CONTENT
    assert server.requests == ([HALF] if fault == "ignore range" else [HALF, 0])


@pytest.mark.parametrize("beginning", [b"x" * HALF, b"x" * len(CONTENT), CONTENT + b"x"])
def test_a_wrong_beginning_is_thrown_away_and_fetched_once_more(entry, server, cache, beginning):
    part(cache, beginning)
    assert download(entry, [server.address]).read_bytes() == CONTENT
    assert server.requests[-1] == 0 and names(cache) == [".net.ckpt.lock", "net.ckpt"]


def test_a_complete_part_needs_no_transfer(entry, server, cache):
    part(cache, CONTENT)
    assert download(entry, [server.address]).read_bytes() == CONTENT and server.requests == []


@pytest.mark.parametrize(
    ("faults", "cause"),
    [
        (["corrupt"], "expected sha256"),
        (["die", "corrupt", "corrupt"], "expected sha256"),
        ([404], "404 Not Found"),
        ([500], "500 Internal Server Error"),
        (["redirect file:///etc/passwd"], "redirected from http to file:///etc/passwd"),
        (["redirect ftp://127.0.0.1/net.ckpt"], "redirected from http to ftp"),
    ],
)
def test_a_wrong_answer_is_named_and_nothing_is_kept(entry, server, cache, faults, cause):
    server.faults = list(faults)
    line = refused(entry, server.address)
    assert cause in line and f"at {cache / 'net.ckpt'} by hand" in line
    assert names(cache) == [".net.ckpt.lock"]


def test_a_stalled_server_is_given_up(entry, server, cache, monkeypatch):
    monkeypatch.setattr(web, "STALL_SECONDS", 0.3)
    server.faults = ["stall", "stall", "stall"]
    assert "nothing received for 0.3 s" in refused(entry, server.address)
    assert names(cache) == [".net.ckpt.lock", ".net.ckpt.part"]


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT + b"x", b"<html>not found</html>"])
def test_a_file_of_another_size_is_not_fetched(entry, server, cache, content):
    server.content = content
    assert f"expected {len(CONTENT):,} bytes, found {len(content):,}" in refused(entry, server.address)
    server.faults = ["no length"]
    assert "net.ckpt" not in names(cache)
    assert "bytes" in refused(entry, server.address) and "net.ckpt" not in names(cache)


def test_redirections_are_followed(entry, server):
    server.faults = [f"redirect {server.address}/elsewhere"]
    assert download(entry, [server.address]).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("url", "location", "refused_target"),
    [
        ("https://a.example/net.ckpt", "http://a.example/net.ckpt", "http://a.example/net.ckpt"),
        ("https://a.example/net.ckpt", "//b.example/net.ckpt", None),
        ("https://a.example/net.ckpt", "/elsewhere", None),
        ("http://a.example/net.ckpt", "HTTPS://b.example/net.ckpt", None),
        ("http://a.example/net.ckpt", "ftp://b.example/net.ckpt", "ftp://b.example/net.ckpt"),
    ],
)
def test_no_redirection_gives_up_encryption(url, location, refused_target):
    response = requests.Response()
    response.url, response.status_code, response.raw = url, 302, io.BytesIO()
    response.headers["Location"] = location
    with pytest.raises(CheckpointError, match=refused_target) if refused_target else contextlib.nullcontext():
        web._keep_encryption(response)


def test_the_body_of_a_redirection_is_not_read(entry, server, monkeypatch):
    monkeypatch.setattr(transfer, "TOTAL_SECONDS", 3.0)
    server.faults = ["drip redirect"]
    assert download(entry, [server.address]).read_bytes() == CONTENT


def test_a_redirection_to_itself_ends(entry, server):
    server.faults = [f"redirect {server.address}/elsewhere"] * 100
    assert "no connection (Exceeded 30 redirects" in refused(entry, server.address)


@pytest.mark.parametrize("fault", ["drip", "drip headers", "drip chunks"])
def test_a_server_that_drips_is_given_up(entry, server, cache, monkeypatch, fault):
    monkeypatch.setattr(transfer, "TOTAL_SECONDS", 0.5)
    server.faults = [fault] * 3
    start = time.monotonic()
    assert "not complete after 0.5 s" in refused(entry, server.address)
    assert time.monotonic() - start < 2 and "net.ckpt" not in names(cache)


def test_mirrors_are_tried_in_order(entry, server, cache, tmp_path):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "net.ckpt").write_bytes(b"wrong")
    mirrors = [tmp_path / "absent", tmp_path / "bad", server.address]
    assert download(entry, list(map(str, mirrors))).read_bytes() == CONTENT and server.requests == [0]
    (cache / "net.ckpt").unlink()
    line = refused(entry, *map(str, mirrors[:2]))
    assert "absent/net.ckpt: cannot be copied (No such file" in line and "bad/net.ckpt: expected sha256" in line


@pytest.mark.parametrize("form", ["{}", "{}/", "file://{}"])
def test_a_folder_is_a_mirror(entry, cache, tmp_path, form, monkeypatch):
    (tmp_path / "a mirror").mkdir()
    (tmp_path / "a mirror" / "net.ckpt").write_bytes(CONTENT)
    mirror = form.format(str(tmp_path / "a mirror").replace(" ", "%20" if "file:" in form else " "))
    monkeypatch.setenv("LOWBITZOO_MIRRORS", f"http://127.0.0.1:1/x, {mirror}")
    assert download(entry).read_bytes() == CONTENT


@pytest.mark.parametrize("mirror", ["ftp://a.example", "s3://bucket"])
def test_other_kinds_of_addresses_are_refused(entry, cache, mirror):
    assert "expected a folder or an address of http" in refused(entry, mirror) and names(cache) == [".net.ckpt.lock"]


def test_where_a_file_is_looked_for(entry, cache, monkeypatch):
    assert addresses(entry) == [entry.url]
    monkeypatch.setenv("LOWBITZOO_MIRRORS", "https://a.example/zoo/,/b")
    assert addresses(entry) == ["https://a.example/zoo/net.ckpt", "/b/net.ckpt"]
    assert addresses(entry, ["file:///c"]) == ["file:///c/net.ckpt"]


def test_a_wrong_file_in_the_cache_is_fetched_anew(entry, server, cache, capsys):
    cache.mkdir(parents=True)
    (cache / "net.ckpt").write_bytes(b"wrong")
    assert "http" in refused(entry, "http://127.0.0.1:1")
    assert download(entry, [server.address]).read_bytes() == CONTENT
    assert "expected sha256" in capsys.readouterr().err


def test_without_a_registered_sha256_the_user_decides(entry, server, cache, capsys):
    unknown = replace(entry, sha256=None, size=None)
    part(cache, b"beginning of something else")
    assert "--allow_unverified" in refused(unknown, server.address) and server.requests == []
    assert download(unknown, [server.address], allow_unverified=True).read_bytes() == CONTENT
    assert entry.sha256 in capsys.readouterr().err and server.requests == [0]
    assert download(unknown, []).read_bytes() == CONTENT
    (cache / "net.ckpt").write_bytes(b"changed")
    assert "expected sha256" in fault_of(unknown)


def test_a_file_whose_name_is_not_known_is_pointed_at(entry):
    assert f"look for it at {entry.url}" in refused(replace(entry, file=None), "/nowhere")


def test_requests_is_imported_only_to_download():
    code = "import sys, lowbitzoo.methods, common.cli.commands.list; sys.exit('requests' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=registry.ROOT, check=False).returncode == 0
