"""The page in a real browser: a picture is dropped in, networks are chosen, nothing comes from another host."""

import os
import shutil
import socket
import subprocess
import sys

import pytest

from common.zoo.registry import ROOT

HOW = 'needs a browser: pip install "lowbitzoo[demo]" playwright; apt-get install chromium'
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
MINUTE = 60_000  # milliseconds


@pytest.fixture
def url():
    pytest.importorskip("gradio", reason=HOW)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "lowbitzoo", "demo", "--port", str(port), "--threads", "1"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment) as served:
        try:
            assert f"http://127.0.0.1:{port}" in served.stdout.readline()
            yield f"http://127.0.0.1:{port}"
        finally:
            served.terminate()


@pytest.fixture
def page():
    if BROWSER is None:
        pytest.skip(HOW)
    playwright = pytest.importorskip("playwright.sync_api", reason=HOW)
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield browser.new_page(viewport={"width": 1280, "height": 1000})
        browser.close()


@pytest.mark.slow
def test_a_picture_is_classified_by_both_networks(page, url, tmp_path):
    asked, faults = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    opened(page, url)
    page.set_input_files("#picture input[type=file]", str(ROOT / "docs" / "three.png"))
    for side in ("#said-plain", "#said-low"):
        best = page.wait_for_selector(f"{side} tr.chosen td", timeout=MINUTE)
        assert best.inner_text() == "3"
    assert page.locator("#layers tr").count() == 21  # a row of titles
    assert page.locator("#layers tr.chosen").count() == 0
    for what in ("bytes of the file", "bit operations of the picture", "latency of one picture"):
        assert what in page.inner_text("#costs")
    choose(page, "#low", "dynamicquant-resnet20-digits-w3a3")
    page.wait_for_selector("#layers tr.chosen", timeout=MINUTE)
    assert "This picture chose the bits of 12 layers" in page.inner_text("#layers")
    page.screenshot(path=tmp_path / "page.png", full_page=True)
    assert not faults
    assert asked and all(address.startswith((url, "data:", "blob:")) for address in asked)


def opened(page, url):
    """The page, once the server answers."""
    for _ in range(60):
        try:
            page.goto(url, timeout=MINUTE)
            break
        except Exception:
            page.wait_for_timeout(500)
    page.wait_for_selector("#picture", timeout=MINUTE)


def choose(page, box, name):
    page.click(f"{box} input")
    page.click(f"ul[role=listbox] li:has-text('{name}')")
