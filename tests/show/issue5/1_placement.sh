#!/bin/bash
# Must show 1, the pure half: a million random placements beside a naive oracle of Marathon's constraints, lives of the leader's planner
# beside the step that looks at everything, and that planted bugs are noticed. PLACEMENT_CASES says how many.
cd "$(git rev-parse --show-toplevel)" || exit 1
out=$(mktemp)
trap 'rm -f "$out"' EXIT
cases=${PLACEMENT_CASES:-1000000}
make -s build/release/tests/unit_core build/sim/tests/sim >"$out" 2>&1 || { tail -n 20 "$out"; echo "FAIL placement: build"; exit 1; }
PLACEMENT_CASES=$cases build/release/tests/unit_core 'an oracle finds*,a planner that is told*' >"$out" 2>&1 ||
    { tail -n 30 "$out"; echo "FAIL placement: the oracle disagrees"; exit 1; }
tail -n 1 <(grep . "$out")
build/sim/tests/sim --placement --bug all | tee "$out"
[[ ${PIPESTATUS[0]} -eq 0 ]] || { echo "FAIL placement: a planted bug is not noticed"; exit 1; }
echo "PASS placement: $cases random cases and $((cases / 50)) lives without a disagreement; planted bugs: $(tail -n 1 "$out")"
