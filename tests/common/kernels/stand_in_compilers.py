"""Shell scripts in the place of the compiler."""

# Notes its calls and writes something that is not a library.
FAKE = """#!/bin/sh
[ "$1" = --version ] && { echo "fake $FAKE_VERSION"; exit; }
echo "$@" >>"$LOG"
while [ "$1" != -o ]; do shift; done
echo "not a library" >"$2"
"""
FAILING = """#!/bin/sh
[ "$1" = --version ] && { echo broken 1; exit; }
echo "In file included from x.cc:" >&2
echo "x.cc:1:1: error: unknown instruction" >&2
echo "compilation terminated" >&2
exit 1
"""
SILENT = "#!/bin/sh\nexit 3\n"


def file_names(folder):
    return sorted(path.name for path in folder.iterdir())
