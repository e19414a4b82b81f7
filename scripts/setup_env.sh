#!/usr/bin/env bash
# Makes .venv and installs the requirements into it, but only when they or the Python version have changed; with --dev
# also those of tests and style.
set -euo pipefail

usage="usage: scripts/setup_env.sh [--dev]   (PYTHON=/path/to/python3.11 chooses the Python: 3.10, 3.11 or 3.12)"
requirements=requirements.txt
case $* in
"") ;;
--dev) requirements=requirements-dev.txt ;;
-h | --help) echo "$usage" && exit ;;
*) echo "error: expected --dev or no option, found '$*'; $usage" >&2 && exit 2 ;;
esac

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/.venv
stamp=$venv/.installed
unfinished=$venv/.unfinished # stays behind only when an installation was stopped half-way

version_of() { # the version of a Python that really runs and is supported, else nothing; a pyenv shim may just fail
    "$1" -c 'import sys, venv, ensurepip
if (3, 10) <= sys.version_info < (3, 13): print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null || true
}

find_python() {
    local name candidate names=(python3.11 python3.10 python3.12 python3)
    if [[ -n ${PYTHON:-} ]]; then names=("$PYTHON"); fi
    for name in "${names[@]}"; do
        while read -r candidate; do
            if [[ -n $(version_of "$candidate") ]]; then echo "$candidate" && return; fi
        done < <(type -aP "$name")
    done
    echo "error: expected Python 3.10, 3.11 or 3.12 with its venv module, found none as ${names[*]};" \
        "install one or set PYTHON to its path" >&2
    exit 2
}

fingerprint() { # FILE: of all that it brings: the requirements, the project, the version of Python
    { (cd "$root" && cat requirements.txt "$1" pyproject.toml) && version_of "$venv/bin/python"; } | sha256sum
}

installed=$(version_of "$venv/bin/python")
wanted=$installed # a working environment is kept, whatever other Python comes first in PATH by now
if [[ -n ${PYTHON:-} ]]; then
    python=$(find_python)
    wanted=$(version_of "$python")
fi
usable=false
if [[ -n $installed && $installed == "$wanted" && ! -e $unfinished ]]; then usable=true; fi
if $usable && [[ -e $stamp ]] && grep -qxF "$(fingerprint "$requirements")" "$stamp"; then exit 0; fi

if ! $usable || ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    python=${python:-$(find_python)}
    echo "making $venv with $python" >&2
    "$python" -m venv --clear "$venv"
fi
echo "installing $requirements into $venv (once; it takes some minutes)" >&2
rm -f "$stamp"
touch "$unfinished"
trap 'exit 130' INT TERM
status=0
(cd "$root" && "$venv/bin/python" -m pip install --disable-pip-version-check -r "$requirements") >&2 || status=$?
rm -f "$unfinished"
if ((status)); then
    echo "error: pip could not install $requirements, see its message above; mend that and run this again" >&2
    exit "$status"
fi
for file in requirements.txt "$requirements"; do fingerprint "$file"; done >"$stamp"
