# Shared set-up of demo.sh and test.sh: a virtual environment with pinned versions. Meant to be sourced:
#
#   . scripts/setup_env.sh [dev]
#
# It leaves ROOT (the repository) and PYTHON_BIN (the environment's Python) behind. The environment is .venv in the
# repository, or the folder that COLLAGE_VENV names; PYTHON names the Python that makes it. What is installed is
# remembered in a stamp, so that a second run costs a moment. Nothing is ever removed.

fail() {
    echo "error: $*" >&2
    exit 2
}

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd) || exit 2
CONSTRAINTS=$ROOT/scripts/constraints.txt
TORCH=$(grep -m 1 '^torch==' "$CONSTRAINTS") || fail "$CONSTRAINTS: has no line torch==..."

# A Python new enough, with the modules that Debian packs separately.
find_python() {
    local name
    for name in ${PYTHON:-python3.11 python3 python}; do
        if command -v "$name" >/dev/null &&
            "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    fail "no Python 3.11 or newer found (tried ${PYTHON:-python3.11 python3 python}); install one or set PYTHON"
}

ready() {
    [ -x "$1/bin/python" ] && "$1/bin/python" -m pip --version >/dev/null 2>&1
}

# The folder of the environment, marked as ours; a folder that these scripts did not make is left alone.
claim_folder() {
    if [ -e "$1" ] && [ ! -e "$1/.made-by-collage-motion" ] && [ -n "$(ls -A "$1" 2>/dev/null)" ]; then
        fail "$1 exists and was not made by this script; set COLLAGE_VENV to another folder"
    fi
    if ! ready "$1"; then
        PYTHON_BIN=$(find_python) || exit 2
        "$PYTHON_BIN" -c 'import ensurepip, venv' 2>/dev/null ||
            fail "$PYTHON_BIN cannot make virtual environments; on Debian and Ubuntu install python3-venv"
        mkdir -p "$1" && touch "$1/.made-by-collage-motion" || fail "$1 cannot be made"
    fi
}

# Everything that decides what is installed: these files, the place of the repository, the Python.
fingerprint() {
    {
        cat "$ROOT/setup.cfg" "$ROOT/pyproject.toml" "$CONSTRAINTS"
        echo "$ROOT $("$PYTHON_BIN" --version 2>&1)"
    } | "$PYTHON_BIN" -c 'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())'
}

install() {
    "$PYTHON_BIN" -m pip install --disable-pip-version-check --no-input --quiet -c "$CONSTRAINTS" "$@" ||
        fail "pip could not install $*; run the script again to go on where it stopped"
}

setup_environment() {
    local kind=$1 folder=${COLLAGE_VENV:-$ROOT/.venv} wanted
    claim_folder "$folder"
    folder=$(cd "$folder" && pwd)
    if command -v flock >/dev/null; then # of two runs at once, the second waits
        exec 9>"$folder/.collage-motion-lock"
        flock 9
    fi
    if ! ready "$folder"; then
        echo "making a virtual environment in $folder" >&2
        "$PYTHON_BIN" -m venv "$folder" || fail "$folder: the virtual environment cannot be made"
    fi
    PYTHON_BIN=$folder/bin/python
    wanted=$(fingerprint) || fail "$PYTHON_BIN does not run; give COLLAGE_VENV a new folder"
    # The environment for development holds all that the other one does.
    if ! grep -qsx "$wanted" "$folder/.collage-motion-dev" "$folder/.collage-motion-$kind"; then
        echo "installing the pinned versions into $folder (once; a few minutes)" >&2
        # torch first and alone, so that no other requirement can choose another one.
        install "$TORCH"
        install setuptools
        if [ "$kind" = dev ]; then
            install --no-build-isolation -e "$ROOT[dev]"
        else
            install --no-build-isolation -e "$ROOT"
        fi
        echo "$wanted" >"$folder/.collage-motion-$kind"
    fi
    exec 9>&-
}

setup_environment "${1:-run}"
