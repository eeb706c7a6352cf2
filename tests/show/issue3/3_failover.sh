#!/bin/bash
# Must show 3: the leader fails under load, beside etcd; histories of all clients; builds with a planted bug.
cd "$(git rev-parse --show-toplevel)" || exit 1
make -s build/smackd build/sim/smackd tools >/dev/null || { echo "FAIL failover: build"; exit 1; }
exec python3 tests/show/issue3/3_failover.py
