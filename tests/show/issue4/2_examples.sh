#!/bin/bash
# Must show 2: examples/README.md, typed on a demo: a script, a JAR, a static site, two services with a dependency, and a real
# Kafka broker and Cassandra node out of Maven's artifacts, produced to, consumed from, inserted into and selected from by other tasks.
cd "$(git rev-parse --show-toplevel)" || exit 1
out=$(mktemp)
trap 'rm -f "$out"' EXIT
make -s build/smackd >"$out" 2>&1 || { tail -n 20 "$out"; echo "FAIL examples: build"; exit 1; }
tests/integration/run examples. >"$out" 2>&1 || { tail -n 60 "$out"; echo "FAIL examples: $(tail -n 1 "$out")"; exit 1; }
grep '^skipped' "$out"
figures=$(sed -n 's/^ \{8\}//p' "$out" | paste -sd ';' | sed 's/;/; /g')
echo "PASS examples: $(tail -n 1 "$out"); $figures"
