#!/bin/bash
# Must show 5: who may what. A row for each route the daemon has: what a principal with rights on /team-a is granted there, and refused
# everywhere else in every spelling, by ticket, token and DC/OS token; thefts of names, ports and the node.
cd "$(git rev-parse --show-toplevel)" || exit 1
out=$(mktemp)
trap 'rm -f "$out"' EXIT
fail() { tail -n 40 "$out"; echo "FAIL rights: $*"; exit 1; }
make -s build/smackd >"$out" 2>&1 || fail "build"
tests/integration/run rights. >"$out" 2>&1 || fail "$(tail -n 1 "$out")"
figures=$(sed -n 's/^rights: //p' "$out")
[[ -n $figures ]] || fail "no figures"
echo "PASS rights: $figures; $(tail -n 1 "$out")"
