#!/usr/bin/env bash
# Checks style and runs the tests, a process per core; paths among the options are relative to the repository.
set -euo pipefail

if [[ ${1:-} == -h || ${1:-} == --help ]]; then
    echo "usage: scripts/test.sh [PYTEST OPTIONS...]"
    exit 0
fi
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash scripts/setup_env.sh --dev
.venv/bin/python -m ruff check
.venv/bin/python -m ruff format --check
exec .venv/bin/python -m pytest -q --numprocesses auto --dist loadfile "$@"
