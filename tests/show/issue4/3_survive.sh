#!/bin/bash
# Must show 3, the part that stands: kill -9 of the daemon: same tasks, whole logs, exit codes of those that ended, requests
# answered meanwhile and afterwards.
cd "$(git rev-parse --show-toplevel)" || exit 1
out=$(mktemp)
trap 'rm -f "$out"' EXIT
tests/integration/run apps.tasks_outlive apps.the_edge_serves >"$out" 2>&1 ||
    { tail -n 40 "$out"; echo "FAIL survive: $(tail -n 1 "$out")"; exit 1; }
echo "PASS survive: $(tail -n 1 "$out")"
