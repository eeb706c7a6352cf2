#!/bin/bash
# Must show 8: rolling updates of 10 instances under 500 requests/s, GET and POST, over new and kept connections: 0 failed.
cd "$(git rev-parse --show-toplevel)" || exit 1
make -s build/smackd build/release/tools/traffic >/dev/null || { echo "FAIL rolling: build"; exit 1; }
exec python3 tests/show/issue4/8_rolling.py
