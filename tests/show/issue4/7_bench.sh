#!/bin/bash
# Must show 7, in one run: isolated starts through the launcher and through the API beside crun and runc, POST to the first 200,
# 500 instances, ingress and DNS beside their peers, and what is left behind. Figures and the aims beside them; what is not met is
# said, and fails only where nothing may be left behind or something does not run.
cd "$(git rev-parse --show-toplevel)" || exit 1
out=$(mktemp)
trap 'rm -f "$out"' EXIT
make -s build/smackd tools build/release/bench/shim_kinds >"$out" 2>&1 || { tail -n 20 "$out"; echo "FAIL bench: build"; exit 1; }
tests/bench/run.py --only starts,shims,apps,edge 2>&1 | tee "$out"
code=${PIPESTATUS[0]}
starts=$(grep '^an isolated start' "$out")
first=$(grep '^first 200' "$out")
[[ $code -eq 0 && -n $starts && -n $first ]] || { echo "FAIL bench: see above"; exit 1; }
echo "PASS bench: $starts; $first; $(grep '^[0-9]* instances of sleep' "$out")"
