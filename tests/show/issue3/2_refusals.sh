#!/bin/bash
# Must show 2: who is refused at the join door and at the cluster address, each with its text and
# its entry in the refusal log; so are gossip packets.
cd "$(git rev-parse --show-toplevel)" || exit 1
out=$(mktemp)
trap 'rm -f "$out"' EXIT
fail() { tail -n 30 "$out"; echo "FAIL refusals: $*"; exit 1; }
make -s all tools build/release/tests/unit_auth >"$out" 2>&1 || fail "build"
tests/integration/run join_suspension join_refusals join_realm refused_ gossip_refuses >"$out" 2>&1 || fail "$(tail -n 1 "$out")"
integration=$(tail -n 1 "$out")
build/release/tests/unit_auth --filenames-as-tags "[#join_test]" >"$out" 2>&1 || fail "unit tests of the exchange"
echo "PASS refusals: on network namespaces: $integration; of the exchange: $(grep -E 'test cases|All tests' "$out" | xargs)"
