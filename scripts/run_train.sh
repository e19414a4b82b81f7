#!/usr/bin/env bash
# Runs METHOD/train.py from the caller's folder: scripts/run_train.sh METHOD [OPTIONS...]
set -euo pipefail

exec bash "$(dirname "${BASH_SOURCE[0]}")/run_method.sh" train "$@"
