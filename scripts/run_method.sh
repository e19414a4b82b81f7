#!/usr/bin/env bash
# What run_eval.sh and run_train.sh share: runs METHOD/SCRIPT.py from the caller's folder, so that relative paths among
# the options mean what they say.
set -euo pipefail

script_name=${1:-} # eval or train
usage="usage: scripts/run_$script_name.sh METHOD [OPTIONS...]"
if [[ -z $script_name || $script_name == -* ]]; then
    echo "usage: scripts/run_method.sh eval|train METHOD [OPTIONS...]"
    exit
fi
if [[ ${2:-} == -h || ${2:-} == --help ]]; then
    echo "$usage"
    exit
fi

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
wanted=${2:-}
wanted=${wanted%/} # the shell completes a folder's name with a slash
methods=() script=
for candidate in "$root"/*/"$script_name.py"; do
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
exec "$python" "$script" "${@:3}"
