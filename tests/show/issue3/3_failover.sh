#!/bin/bash
# Must show 3: the leader is killed under load.
exec python3 "$(dirname "$0")/3_failover.py"
