#!/bin/bash
# Must show 3: the door: who gets in, and that everyone else is refused with the right text; two threads, 10,000 tickets.
cd "$(git rev-parse --show-toplevel)" || exit 1
out=$(mktemp)
trap 'rm -f "$out"' EXIT
fail() { tail -n 30 "$out"; echo "FAIL door: $*"; exit 1; }
make -s all tools build/debug/tests/unit_auth >"$out" 2>&1 || fail "build"
tests/integration/run signin >"$out" 2>&1 || fail "$(tail -n 1 "$out")"
signin=$(tail -n 1 "$out")
build/debug/tests/unit_auth "*10\,000 tickets*" >"$out" 2>&1 || fail "two threads accepting 10,000 tickets"
echo "PASS door: sign-in tests: $signin; $(tail -n 2 "$out" | head -n 1)"
