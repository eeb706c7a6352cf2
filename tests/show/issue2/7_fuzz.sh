#!/bin/bash
# Must show 7: the parsers of outside bytes clean for 10 minutes each (FUZZ_SECONDS) under sanitizers, further ones for a
# fifth of that, and a bug planted behind each found within a minute.
cd "$(git rev-parse --show-toplevel)" || exit 1
seconds=${FUZZ_SECONDS:-600}
named="http_head http_body rpc_frame negotiate_header token json command log_segment"
others=$(for file in tests/fuzz/*_fuzz.cc; do
    name=$(basename "$file" _fuzz.cc)
    [[ " $named " == *" $name "* ]] || echo "$name"
done | xargs)
make -s fuzz FUZZ_SECONDS="$seconds" FUZZ_ONLY="$named" || { echo "FAIL fuzz"; exit 1; }
make -s fuzz FUZZ_SECONDS=$((seconds / 5)) FUZZ_ONLY="$others" || { echo "FAIL fuzz"; exit 1; }
make -s fuzz-planted || { echo "FAIL fuzz: a planted bug was not found in a minute"; exit 1; }
echo "PASS fuzz: $(wc -w <<<"$named") targets for $seconds s, $(wc -w <<<"$others") for $((seconds / 5)) s, every planted bug found"
