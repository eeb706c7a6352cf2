#!/bin/bash
# Must show 6: wrong input through the API, each with the reference's status and body and nothing changed; then the fuzz targets of what
# applications bring from outside, FUZZ_SECONDS (20) each, and the bug planted behind each parser, which must be found.
cd "$(git rev-parse --show-toplevel)" || exit 1
targets="app_json dns_packet ingress_request registry_answer tar shim_request task_socket"
out=$(mktemp)
trap 'rm -f "$out"' EXIT
fail() { tail -n 40 "$out"; echo "FAIL wrong input: $*"; exit 1; }
make -s build/smackd >"$out" 2>&1 || fail "build"
tests/integration/run wrong_input. >"$out" 2>&1 || fail "$(tail -n 1 "$out")"
cases=$(sed -n 's/^wrong input: //p' "$out")
[[ -n $cases ]] || fail "no figures"
# shellcheck disable=SC2086 # a list
make -s $(printf 'build/fuzz/%s ' $targets) >"$out" 2>&1 || fail "building the fuzz targets"
make -s fuzz FUZZ_SECONDS="${FUZZ_SECONDS:-20}" FUZZ_ONLY="$targets" >"$out" 2>&1 || fail "$(tail -n 1 "$out")"
found=$(awk '/ clean$/ { edges += $2; runs += $4 } END { printf "%d edges, %d executions", edges, runs }' "$out")
cat "$out"
# shellcheck disable=SC2086
scripts/check/fuzz_planted $targets >"$out" 2>&1 || fail "a planted bug was missed: $(tail -n 1 "$out")"
echo "PASS wrong input: $cases; fuzz: $found, clean; planted bugs: $(tail -n 1 "$out" | sed 's/ passed.*//') of $(wc -w <<<"$targets") found"
