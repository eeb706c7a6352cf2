#!/bin/bash
# Must show 1: the definitions of examples/iot, unchanged, with images of their names: answered at the load balancer's
# names from the host and from a task, and by virtual host, in a real browser, too.
cd "$(git rev-parse --show-toplevel)" || exit 1
out=$(mktemp)
trap 'rm -f "$out"' EXIT
tests/integration/run iot. apps.bridge >"$out" 2>&1 || { tail -n 40 "$out"; echo "FAIL iot: $(tail -n 1 "$out")"; exit 1; }
echo "PASS iot: $(tail -n 1 "$out")"
