#!/usr/bin/env bash
# What only a GPU can show, in one call of under eight minutes on a card of 80 GB: tools/gpu_check.sh [--smoke] [FACES...]
#
#   tests      tests/device on the card
#   speed      benchmarks/device.py: FaceNet64 in every precision, share of the card's peak, memory against the batch
#   faces      FaceNet64 and its evaluator trained, smoothed and attacked at the profile gpu: on every folder FACES
#              of private/ and public/ people, and on drawn faces
#
# Needs torch and the packages that the package itself needs, none of the book's and no network. Documents of aggregates
# go to $OUT (./results/gpu by default). A step that fails does not stop the next; the exit code is 1 if any did.
# STEPS="tests speed" takes some of them, LIMIT is the time for all, in seconds: what is cut off leaves the stages that it
# had finished in stages.tgz. --smoke walks the same path in small, on a CPU.
set -u
cd "$(dirname "$0")/.."
python=${PYTHON:-python3} out=${OUT:-results/gpu} profile=gpu small=() only=(--only inversion --only face-smoothing)
if [ "${1:-}" = --smoke ]; then profile=smoke small=(--smoke) only=(--only face-smoothing); shift; fi
export RP_TUTORIAL_CACHE=${RP_TUTORIAL_CACHE:-$(mktemp -d)} PYTHONUNBUFFERED=1 PYTHONPATH=${PYTHONPATH:+$PYTHONPATH:}$PWD
failed=0
mkdir -p "$out"

step() { # name, command
    case " ${STEPS:-tests speed faces} " in *" $1 "*) ;; *) return ;; esac
    local began=$SECONDS left=$((${LIMIT:-480} - SECONDS))
    echo "== $1: ${*:2}"
    if [ "$left" -lt 1 ] || ! timeout "$left" "${@:2}"; then echo "== $1 failed"; failed=1; fi
    echo "== $1: $((SECONDS - began)) s"
}
faces=(-m tools.publish --profile "$profile" --to "$out" "${only[@]}" --seed 0)

step tests "$python" -m pytest -q -p no:cacheprovider tests/device
step speed "$python" benchmarks/device.py ${small[@]+"${small[@]}"} --out "$out/device.json"
for folder in "$@"; do
    step faces "$python" "${faces[@]}" --only-sources "folder:$folder"
done
step faces "$python" "${faces[@]}"
tar -czf "$out/stages.tgz" -C "$RP_TUTORIAL_CACHE" results 2>/dev/null # what a run had when it was cut off
exit $failed
