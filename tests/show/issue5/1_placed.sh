#!/bin/bash
# Must show 1: 40 apps with 200 instances on eight nodes: placed by their constraints, named and routed from every node.
cd "$(git rev-parse --show-toplevel)" || exit 1
make -s build/smackd tools >/dev/null || { echo "FAIL placed: build"; exit 1; }
exec python3 tests/show/issue5/1_placed.py
