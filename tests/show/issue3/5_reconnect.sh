#!/bin/bash
# Must show 5 of issue 3: 500 agents at one server, which is killed: they come back at once, nobody else misses a heartbeat.
# AGENTS=n, RUNS=n.
cd "$(dirname "$0")/../../.." || exit 1
make build/smackd build/release/tools/agents build/release/tools/make_cluster >/dev/null || { echo "FAIL: the build"; exit 1; }
exec python3 tests/show/issue3/5_reconnect.py
