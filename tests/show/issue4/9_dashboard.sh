#!/bin/bash
# What people use: `app plan` says what then happens, on one node and on three servers whichever is asked; the dashboard in
# Chromium by keyboard alone: signing in, checking, deploying, scaling, removing, draining; 1280 and 390 pixels.
cd "$(git rev-parse --show-toplevel)" || exit 1
out=$(mktemp)
trap 'rm -f "$out"' EXIT
tests/integration/run a_plan_says dashboard. servers_run_tasks_and_replace >"$out" 2>&1 || { tail -n 40 "$out"; echo "FAIL dashboard: $(tail -n 1 "$out")"; exit 1; }
echo "PASS dashboard: $(tail -n 1 "$out"), $(grep -c '^passed  dashboard' "$out") of them in Chromium"
