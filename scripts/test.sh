#!/usr/bin/env bash
# Checks style, types and repeated logic and runs examples and tests, a process per core; with options, tests alone.
set -euo pipefail

if [[ ${1:-} == -h || ${1:-} == --help ]]; then
    echo "usage: scripts/test.sh [PYTEST OPTIONS...]   (paths are relative to the repository)"
    exit 0
fi
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash scripts/setup_env.sh --dev
python=.venv/bin/python
if (($# == 0)); then
    $python -m ruff check
    $python -m ruff format --check
    $python -m mypy
    $python scripts/check_duplicates.py
    # The examples in docstrings; ONNX and Gradio are extras that need not be there.
    $python -m pytest -q --doctest-modules --ignore-glob='common/export/onnx_*' --ignore=lowbitzoo/demo/page.py common lowbitzoo \
        AdderQuant DAMBQ DynamicQuant LDNQ ProQHA
fi
exec $python -m pytest -q --numprocesses auto --dist loadfile "$@"
