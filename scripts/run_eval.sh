#!/usr/bin/env bash
# Runs METHOD/eval.py from the caller's folder: scripts/run_eval.sh METHOD [OPTIONS...]
set -euo pipefail

exec bash "$(dirname "${BASH_SOURCE[0]}")/run_method.sh" eval "$@"
