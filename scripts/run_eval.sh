#!/usr/bin/env bash
# Runs METHOD/eval.py from the caller's folder, so that relative paths among the options mean what they say.
set -euo pipefail

usage="usage: scripts/run_eval.sh METHOD [OPTIONS...]"
if [[ ${1:-} == -h || ${1:-} == --help ]]; then
    echo "$usage"
    exit
fi

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
wanted=${1:-}
wanted=${wanted%/} # the shell completes a folder's name with a slash
methods=() script=
for candidate in "$root"/*/eval.py; do
    if [[ ! -e $candidate ]]; then continue; fi
    method=$(basename "$(dirname "$candidate")")
    methods+=("$method")
    if [[ $method == "$wanted" ]]; then script=$candidate; fi
done
if [[ -z $script ]]; then
    echo "error: expected a METHOD among: ${methods[*]:-(none)}; found '$wanted'; $usage" >&2
    exit 2
fi

python=$root/.venv/bin/python
if [[ ! -x $python ]]; then python=python; fi
export PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH}
exec "$python" "$script" "${@:2}"
