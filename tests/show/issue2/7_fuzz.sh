#!/bin/bash
# Must show 7: every fuzz target clean for 10 minutes (FUZZ_SECONDS), and a bug planted behind each found in a minute.
cd "$(git rev-parse --show-toplevel)" || exit 1
make -s fuzz FUZZ_SECONDS="${FUZZ_SECONDS:-600}" || { echo "FAIL fuzz"; exit 1; }
make -s fuzz-planted || { echo "FAIL fuzz: a planted bug was not found in a minute"; exit 1; }
echo "PASS fuzz"
