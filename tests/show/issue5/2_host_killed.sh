#!/bin/bash
# Must show 2: hosts that die under 1,000 requests/s, alone, with the leader, many at once; a leased task through a 60 s partition; and
# how fast gossip finds a dead host, beside serf.
cd "$(git rev-parse --show-toplevel)" || exit 1
make -s build/smackd tools >/dev/null || { echo "FAIL host killed: build"; exit 1; }
code=0
python3 tests/show/issue5/2_host_killed.py || code=1
RUNS="${RUNS:-5}" python3 tests/show/issue3/4_detection.py || code=1
leases=$(CUT_S="${CUT_S:-60}" tests/integration/run never_runs_twice | tee /dev/stderr | sed -n 's/^leases: //p')
[[ -n $leases ]] && echo "PASS leases: $leases" || { echo "FAIL leases"; code=1; }
exit $code
