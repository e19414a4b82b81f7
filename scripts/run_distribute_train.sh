#!/usr/bin/env bash
# Runs METHOD/train.py in several processes from the caller's folder: scripts/run_distribute_train.sh METHOD PROCESSES [OPTIONS...]
set -euo pipefail

exec bash "$(dirname "${BASH_SOURCE[0]}")/run_distributed.sh" train "$@"
