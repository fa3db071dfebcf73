#!/usr/bin/env bash
# Check style and types, then run all tests that need no accelerator. Arguments go to pytest:
#
#   bash scripts/test.sh [tests/test_plan.py -k loop ...]
#
# On the first run it makes a virtual environment (see setup_env.sh).
set -euo pipefail

HERE=$(cd "$(dirname "$0")" && pwd)
. "$HERE/setup_env.sh" dev
cd "$ROOT"

# Two workers on two cores; more threads in each would only wait for one another.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}

"$PYTHON_BIN" -m ruff check .
"$PYTHON_BIN" -m ruff format --check .
"$PYTHON_BIN" -m mypy
exec "$PYTHON_BIN" -m pytest -m "not gpu" -n 2 --dist worksteal "$@"
