#!/bin/bash
# Must show 5: 20,000 simulated lifetimes of at least 500 acknowledged operations without a violation; every planted
# bug is caught. LIFETIMES and SEED can be set for a shorter look.
cd "$(git rev-parse --show-toplevel)" || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sim=build/sim/tests/sim
make -s $sim || { echo "FAIL simulation: build"; exit 1; }
lifetimes=${LIFETIMES:-20000} seed=${SEED:-1} jobs=$(nproc) pids=()
each=$((lifetimes / jobs))
for ((job = 0; job < jobs; job++)); do
    $sim --seed $((seed + job * each)) --lifetimes $each --ops 500 >"$work/sim.$job" 2>&1 &
    pids+=($!)
done
failed=0
for pid in "${pids[@]}"; do wait "$pid" || failed=1; done
for ((job = 0; job < jobs; job++)); do tail -n 25 "$work/sim.$job"; done
$sim --bug all >"$work/bugs" 2>&1 || failed=1
tail -n 30 "$work/bugs"
[[ $failed -eq 0 ]] || { echo "FAIL simulation"; exit 1; }
echo "PASS simulation: $((each * jobs)) lifetimes, 0 violations; planted bugs: $(tail -n 1 "$work/bugs")"
