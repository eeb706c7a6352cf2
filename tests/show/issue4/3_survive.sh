#!/bin/bash
# Must show 3: kill -9 of daemon, launcher and edge, in turn and together, and another binary, with 20 tasks and 500 requests/s: same
# pids, whole logs, exit codes of those that ended, no failed request for what the edge still serves.
cd "$(git rev-parse --show-toplevel)" || exit 1
make -s build/smackd build/release/tools/traffic >/dev/null || { echo "FAIL survive: build"; exit 1; }
exec python3 tests/show/issue4/3_survive.py
