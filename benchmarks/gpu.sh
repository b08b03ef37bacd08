#!/usr/bin/env bash
# What only a GPU can show, in one run of at most 8 minutes: benchmarks/results/gpu-*.json.
#
#   benchmarks/gpu.sh [STEP ...]      steps: checks classify masks; all of them where none is named
#
# checks    out-of-memory halving, bfloat16 against float32, images a second, share of the chip's rate (benchmarks/gpu.py)
# classify  python -m benchmarks.classify --quick
# masks     python -m benchmarks.masks --quick
#
# Without a GPU it is a dry run: the same steps on the CPU, as small as they go, that write nothing into benchmarks/results.
# A step that fails does not end the others; its last lines are in gpu-steps.json, and the exit code is 1.
# PYTHON names the interpreter (python3), SECONDS_AT_MOST the limit (480). It needs torch, torchvision, numpy, scipy, pandas,
# pyarrow, scikit-learn, pillow, safetensors, fsspec, rich and pydantic. On a machine without network, wheels of what is missing
# are taken from a folder .whl beside the repository's README: pip download --only-binary :all: --dest .whl pydantic.
set -u
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3}
LIMIT=${SECONDS_AT_MOST:-480}
SECONDS=0
read -r -a steps <<<"${*:-checks classify masks}"
for step in "${steps[@]}"; do
    case $step in
    checks | classify | masks) ;;
    *)
        echo "gpu.sh: no step $step; steps are checks, classify, masks" >&2
        exit 2
        ;;
    esac
done
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
if compgen -G ".whl/*.whl" >/dev/null; then
    "$PYTHON" -m pip install --quiet --no-index --no-deps --target "$scratch/wheels" .whl/*.whl || exit 1
    export PYTHONPATH="$PYTHONPATH:$scratch/wheels"
fi
"$PYTHON" - <<'PROGRAM'
import importlib.util, sys

needed = "fsspec numpy pandas PIL pyarrow pydantic rich safetensors scipy sklearn torch torchvision".split()
missing = [name for name in needed if importlib.util.find_spec(name) is None]
if missing:
    sys.exit(f"gpu.sh: {', '.join(missing)} cannot be imported; install them, or put their wheels into .whl")
import torch

sys.exit(0 if torch.cuda.is_available() else 10)
PROGRAM
case $? in
0)
    results=benchmarks/results
    options=()
    sizes=()
    ;;
10)
    echo "no GPU: dry run: nothing is written into benchmarks/results"
    results=$scratch/results
    options=(--device cpu)
    sizes=(--images 1 --methods chance grad_cam)
    ;;
*) exit 2 ;;
esac
mkdir -p "$results"

status=0
: >"$scratch/steps"
: >"$scratch/began"
run_step() { # NAME MOST_SECONDS COMMAND ...
    local name=$1 most=$2 began=$SECONDS left code
    shift 2
    left=$((LIMIT - SECONDS))
    if ((left < 5)); then
        code=124
        echo "not begun: the $LIMIT seconds are used up" >"$scratch/log"
    else
        timeout $((left < most ? left : most)) "$PYTHON" "$@" >"$scratch/log" 2>&1
        code=$?
    fi
    ((code == 0)) || status=1
    echo "== $name: exit $code after $((SECONDS - began)) s"
    tail -15 "$scratch/log"
    tail -c 3000 "$scratch/log" >"$scratch/log.$name"
    echo "$name $code $((SECONDS - began))" >>"$scratch/steps"
}

for step in "${steps[@]}"; do
    case $step in
    checks) run_step checks 180 -m benchmarks.gpu "${options[@]}" --json "$results/gpu-checks.json" ;;
    classify) run_step classify 120 -m benchmarks.classify --quick "${options[@]}" --json "$results/gpu-classify.json" ;;
    masks) run_step masks "$LIMIT" -m benchmarks.masks --quick "${options[@]}" "${sizes[@]}" --json "$results/gpu-masks.json" ;;
    esac
done

"$PYTHON" - "$scratch" "$results/gpu-steps.json" <<'PROGRAM'
import json, sys
from pathlib import Path

scratch, target = Path(sys.argv[1]), Path(sys.argv[2])
steps = [line.split() for line in (scratch / "steps").read_text().splitlines()]
found = [
    {"step": name, "exit": int(code), "seconds": int(seconds), "end": (scratch / f"log.{name}").read_text(errors="replace")}
    for name, code, seconds in steps
]
target.write_text(json.dumps(found, indent=1) + "\n")
PROGRAM
for step in "${steps[@]}" steps; do
    if [ "$results/gpu-$step.json" -nt "$scratch/began" ]; then echo "wrote $results/gpu-$step.json"; fi
done
exit $status
