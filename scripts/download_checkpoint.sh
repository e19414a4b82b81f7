#!/usr/bin/env bash
# Fetches registered checkpoints into the cache, verifies them and prints their paths.
set -euo pipefail

usage="usage: scripts/download_checkpoint.sh NAME... [--mirrors URL|DIR...]   (names: python -m lowbitzoo list)"
case ${1:-} in
-h | --help) echo "$usage" && exit ;;
"") echo "error: expected the NAME of a checkpoint, found none; $usage" >&2 && exit 2 ;;
esac

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=$root/.venv/bin/python
if [[ ! -x $python ]]; then python=python; fi
export PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH}
exec "$python" -m lowbitzoo download "$@"
