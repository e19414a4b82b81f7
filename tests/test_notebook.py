"""The notebook among the examples, executed from its first cell to its last."""

import shutil

import pytest

from common.zoo.registry import ROOT

HOW = 'needs what runs notebooks: pip install "lowbitzoo[notebook]"'


@pytest.mark.slow
def test_the_notebook_runs_as_it_stands(tmp_path, monkeypatch):
    nbclient, nbformat = (pytest.importorskip(name, reason=HOW) for name in ("nbclient", "nbformat"))
    pytest.importorskip("ipykernel", reason=HOW)
    folder = tmp_path / "examples"
    shutil.copytree(ROOT / "examples", folder, ignore=shutil.ignore_patterns("outputs", "__pycache__"))
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=":")
    notebook = nbformat.read(folder / "own_network.ipynb", as_version=4)
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    printed = ["".join(out.get("text", "") for out in cell.get("outputs", ())) for cell in notebook.cells]
    text = "\n".join(printed)
    rights = [int(line.split(" of 360 right")[0].split()[-1]) for line in text.splitlines() if " of 360 right" in line]
    assert len(rights) == 2 and min(rights) > 320, text
    best = printed[-3].splitlines()[1]
    assert best.endswith("3") and float(best.split()[0]) > 50, text
    assert (folder / "outputs" / "mine.ckpt").stat().st_size < 15_000
    assert "top-1 is the same on all images" in printed[-1]
