#!/bin/bash
# Must show 8: join, failover, detection, replication at 3 and 5 voters, changes to 500 agents, idle traffic and memory.
# PASS says that every row was measured; the figures and the aims they miss are in the rows.
cd "$(git rev-parse --show-toplevel)" || exit 1
make -s all tools build/release/bench/negotiate_load || { echo "FAIL bench: build"; exit 1; }
tests/bench/run.py --seconds "${SECONDS_EACH:-5}" --only join,failover,detection,replication,agents,nodes ||
    { echo "FAIL bench: a row was not measured"; exit 1; }
echo "PASS bench: figures above"
