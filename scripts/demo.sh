#!/usr/bin/env bash
# Make a motion of 21 s from three prompts: demo.mp4, demo.bvh and demo.npz in out/, or in the folder given.
#
#   bash scripts/demo.sh [FOLDER]
#
# On the first run it makes a virtual environment (see setup_env.sh). Run again, it replaces its three files.
set -euo pipefail

case ${1:-} in
    -h | --help) sed -n '2,6s/^# \{0,1\}//p' "$0"; exit 0 ;;
    -*) echo "error: unknown option $1; usage: bash scripts/demo.sh [FOLDER]" >&2; exit 2 ;;
esac
[ $# -le 1 ] || { echo "error: $# folders given; usage: bash scripts/demo.sh [FOLDER]" >&2; exit 2; }

HERE=$(cd "$(dirname "$0")" && pwd)
OUT=${1:-$HERE/../out}
mkdir -p "$OUT" || { echo "error: the folder $OUT cannot be made" >&2; exit 2; }
OUT=$(cd "$OUT" && pwd)

. "$HERE/setup_env.sh" run

# Files of the same names that are not an earlier demo's are not ours to replace; demo.npz is always written first.
for name in demo.mp4 demo.bvh demo.npz; do
    if [ -e "$OUT/$name" ] &&
        ! "$PYTHON_BIN" -c 'import sys; from collage_motion.export import read_npz; read_npz(sys.argv[1])' \
            "$OUT/demo.npz" 2>/dev/null; then
        echo "error: $OUT/$name exists and is not from an earlier demo; give another folder" >&2
        exit 2
    fi
done

exec "$PYTHON_BIN" -m collage_motion generate \
    "a person walks forward::7" \
    "a person waves with both hands::7" \
    "a person runs::7" \
    -o "$OUT/demo.mp4" -o "$OUT/demo.bvh" -o "$OUT/demo.npz" --overwrite
