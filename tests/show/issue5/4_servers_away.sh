#!/bin/bash
# Must show 4: all servers away for five minutes.
cd "$(git rev-parse --show-toplevel)" || exit 1
make -s build/smackd tools >/dev/null || { echo "FAIL servers_away: build"; exit 1; }
exec python3 tests/show/issue5/4_servers_away.py
