#!/usr/bin/env bash
# Installs the project and evaluates the shipped checkpoints on the built-in data set; ends with one table.
set -euo pipefail

usage="usage: scripts/quickstart.sh   (no options)"
case ${1:-} in
"") ;;
-h | --help) echo "$usage" && exit ;;
*) echo "error: expected no options, found '$1'; $usage" >&2 && exit 2 ;;
esac

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

runs=( # METHOD and the options of its eval.py; one line of the table each
    "AdderQuant --bits 32"
    "AdderQuant --bits 8"
    "AdderQuant --bits 6"
    "AdderQuant --bits 5"
    "AdderQuant --bits 4"
    "DAMBQ --checkpoint_path ../common/zoo/files/resnet20_digits.ckpt"
    "DAMBQ"
    "DynamicQuant"
    "LDNQ --checkpoint_path ../common/zoo/files/resnet20_digits.ckpt"
    "LDNQ"
    "ProQHA --checkpoint_path ../common/zoo/files/resnet20_digits.ckpt"
    "ProQHA"
)

bash "$root/scripts/setup_env.sh"
python=$root/.venv/bin/python
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
for i in "${!runs[@]}"; do
    read -r method options <<<"${runs[i]}"
    echo "[$((i + 1))/${#runs[@]}] $method $options" >&2
    read -ra words <<<"$options"
    words+=(--json "$results/$(printf %03d "$i").json")
    status=0
    (cd "$root/$method" && "$python" eval.py "${words[@]}") >"$results/log" || status=$?
    if ((status)); then
        cat "$results/log" >&2
        exit "$status"
    fi
done
"$python" "$root/scripts/quickstart_table.py" "$results"/*.json
