#!/bin/bash
# A program in a task: output, exit code, signal, input, a terminal with its size, user, folder and variables; who may, and what ends it;
# a WebSocket that is asked wrongly; the terminal of the dashboard in Chromium.
cd "$(git rev-parse --show-toplevel)" || exit 1
out=$(mktemp)
trap 'rm -f "$out"' EXIT
fail() { tail -n 40 "$out"; echo "FAIL exec: $*"; exit 1; }
make -s build/smackd >"$out" 2>&1 || fail "build"
tests/integration/run exec. dashboard.a_terminal >"$out" 2>&1 || fail "$(tail -n 1 "$out")"
echo "PASS exec: $(tail -n 1 "$out")"
