#!/bin/bash
# Must show 4: set-ups that are broken for real, and what `smackd doctor`, `start` or `join` says of each: its cause, and a fix to type.
# Then the same of an older kernel without the modules in QEMU, which takes longer (GUEST=no leaves it out).
cd "$(git rev-parse --show-toplevel)" || exit 1
out=$(mktemp)
trap 'rm -f "$out"' EXIT
fail() { grep -A 12 '^failed' "$out" || tail -n 40 "$out"; echo "FAIL doctor: $*"; exit 1; }
make -s build/smackd tools >"$out" 2>&1 || fail "build"
began=$(date +%s)
tests/integration/run broken. >"$out" 2>&1 || fail "$(tail -n 1 "$out")"
seconds=$(($(date +%s) - began))
rows=$(sed -n 's/^broken: //p' "$out")
[[ -n $rows ]] || fail "no figures"
here=$(tail -n 1 "$out")
guest="older kernel: not asked for"
if [[ ${GUEST:-yes} == yes ]]; then
    tests/integration/run doctor_in_a_guest. >"$out" 2>&1 || fail "in a guest: $(tail -n 1 "$out")"
    guest="older kernel: $(sed -n 's/^broken in a guest: //p' "$out"), $(tail -n 1 "$out")"
fi
echo "PASS doctor: $rows here, $here in $seconds s; $guest"
