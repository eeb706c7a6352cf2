#!/bin/bash
# Must show 4: kill -9 200 times on one node and on three, 20 power cuts in a QEMU guest, a full disk, 300 bit flips on
# the real files: no acknowledged write is lost, and damage is never silent.
cd "$(git rev-parse --show-toplevel)" || exit 1
out=$(mktemp)
trap 'rm -f "$out"' EXIT
failed=0
part() {
    local name=$1
    shift
    if "$@" >"$out" 2>&1; then echo "PASS $name: $(grep -E 'acknowledged|flips|refused' "$out" | tail -n 4 | xargs -d '\n')"
    else tail -n 40 "$out"; echo "FAIL $name"; failed=1; fi
}
make -s all tools || { echo "FAIL durability: build"; exit 1; }
part "200 kills, one node" env SMACKD_KILLS_ONE=200 tests/integration/run kill_9_under_load_on_one
part "200 kills, three nodes" env SMACKD_KILLS_THREE=200 tests/integration/run kill_9_under_load_on_three
part "20 power cuts" tests/qemu/powerloss.py 20
part "full disk" tests/integration/run full
part "300 bit flips" env SMACKD_FLIPS=300 tests/integration/run damage
exit $failed
