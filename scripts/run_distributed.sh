#!/usr/bin/env bash
# METHOD/SCRIPT.py in several processes by MindSpore's msrun, from the caller's folder; run_distribute_train.sh and
# run_distribute_eval.sh call it. Several machines: run it on each, with NODES, NODE, MASTER and PORT set.
set -euo pipefail
begun=$(date +%s)

script_name=${1:-} # eval, train, or another of the method
if [[ ! $script_name =~ ^[a-z_]+$ ]]; then
    echo "usage: scripts/run_distributed.sh eval|train|SCRIPT METHOD PROCESSES [OPTIONS...]"
    exit
fi
start=run_distribute_$script_name.sh
if [[ ! -f $(dirname "${BASH_SOURCE[0]}")/$start ]]; then start="run_distributed.sh $script_name"; fi
usage="usage: scripts/$start METHOD PROCESSES [OPTIONS...]   (several machines: see README)"
if [[ ${2:-} == -h || ${2:-} == --help ]]; then
    echo "$usage"
    exit
fi
if [[ ! ${3:-} =~ ^[1-9][0-9]*$ ]]; then
    echo "error: expected a METHOD and the number of PROCESSES on this machine, found '${2:-}' '${3:-}'; $usage" >&2
    exit 2
fi

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
method=${2%/} processes=$3
script=$root/$method/$script_name.py
if [[ ! -f $script ]]; then
    bash "$root/scripts/run_method.sh" "$script_name" "$method" # says which methods there are
    exit 2
fi

nodes=${NODES:-1} node=${NODE:-0} master=${MASTER:-127.0.0.1}
python=$root/.venv/bin/python
if [[ ! -x $python ]]; then python=python; fi
export PATH=$(dirname "$(command -v "$python")"):$PATH PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH}
free_port='import socket; s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])'
port=${PORT:-$(if ((nodes == 1)); then "$python" -c "$free_port"; else echo 8118; fi)}
allowed='from common.distributed import processors; print(processors.allowed())' # a container's quota counts too
cores=$("$python" -c "$allowed" 2>/dev/null || nproc)
threads=$((cores / processes > 0 ? cores / processes : 1))
export OMP_NUM_THREADS=$threads

seconds=${START_SECONDS:-120}
# Processes that have not come together by then end by themselves, some seconds before the time is over.
export START_BY=$((begun + seconds - (seconds > 24 ? 8 : seconds / 3)))

logs=$(mktemp -d "${TMPDIR:-/tmp}/lowbitzoo_processes.XXXXXX")
first=$logs/worker_$((node * processes)).log
"$python" -c 'from mindspore.parallel.cluster.run import main; main()' \
    --worker_num=$((nodes * processes)) --local_worker_num="$processes" --node_rank="$node" --master_addr="$master" \
    --master_port="$port" --rank_table_file="${RANK_TABLE_FILE:-}" --log_dir="$logs" --join=True \
    --cluster_time_out="$seconds" \
    "$script" --threads "$threads" "${@:4}" >"$logs/msrun.log" 2>&1 &
launcher=$!
mistake() { grep -hs '^error: ' "$logs"/worker_*.log | head -n 1 || true; }
children() { cat /proc/"$launcher"/task/*/children 2>/dev/null || true; }
end() { kill -KILL $(children) 2>/dev/null || true; } # msrun ends when they have
trap 'end; kill "$launcher" 2>/dev/null || true' EXIT
trap 'end; echo interrupted >&2; exit 130' INT
status=0
while kill -0 "$launcher" 2>/dev/null; do
    if [[ -n $(mistake) ]]; then # msrun would wait for its scheduler, which waits for the processes that have ended
        end
    fi
    sleep 0.2
done
wait "$launcher" || status=$?
if ((status == 0)); then
    grep -v '^\[\(INFO\|WARNING\)\]' "$first" || true
    rm -rf "$logs"
    exit
fi
said=$(mistake)
if [[ -n $said ]]; then
    echo "$said" >&2
    rm -rf "$logs"
    exit 2
fi
tail -n 20 "$first" >&2 || true
echo "error: a process ended early (status $status of msrun); the logs are in $logs" >&2
exit "$status"
