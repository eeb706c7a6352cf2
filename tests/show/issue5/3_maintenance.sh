#!/bin/bash
# Must show 3: drains, restarts, another binary, killed leaders and deployments under 1,000 requests/s: nobody notices.
cd "$(git rev-parse --show-toplevel)" || exit 1
make -s build/smackd tools >/dev/null || { echo "FAIL maintenance: build"; exit 1; }
exec python3 tests/show/issue5/3_maintenance.py
