#!/bin/bash
# Must show 7, second part: one voter's disk alone goes on by one command, and a backup without its key says nothing.
cd "$(git rev-parse --show-toplevel)" || exit 1
failed=0
python3 tests/show/issue3/7_recovery.py || failed=1
out=$(mktemp)
trap 'rm -f "$out"' EXIT
if tests/integration/run backup_under_load bad_inputs_of_restore backup_alone >"$out" 2>&1; then
    echo "PASS backup: the file alone gives nothing away, a wrong key and damage are refused: $(tail -n 1 "$out")"
else
    tail -n 30 "$out"
    echo "FAIL backup: $(tail -n 1 "$out")"
    failed=1
fi
exit $failed
