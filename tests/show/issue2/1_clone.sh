#!/bin/bash
# Must show 1: an empty clone with no caches: `make demo` reaches the ready line, `make test` passes; a static binary.
set -u
root=$(git rev-parse --show-toplevel)
work=$(mktemp -d)
trap 'kill "${demo:-}" 2>/dev/null; wait 2>/dev/null; rm -rf "$work"' EXIT
fail() { echo "FAIL clean clone: $*"; exit 1; }
git clone -q "$root" "$work/clone" && cd "$work/clone" || fail "git clone"
export SMACKD_CACHE=$work/cache CCACHE_DIR=$work/ccache XDG_DATA_HOME=$work/share
began=$SECONDS
setsid make demo >"$work/demo.out" 2>&1 &
demo=$!
until grep -q '^ready' "$work/demo.out"; do
    kill -0 $demo 2>/dev/null || fail "make demo ended: $(tail -n 5 "$work/demo.out")"
    [[ $((SECONDS - began)) -lt 3600 ]] || fail "make demo: no ready line in an hour"
    sleep 0.2
done
demo_s=$((SECONDS - began))
kill -INT -- -"$demo"; wait $demo; demo=
readelf -lW build/smackd | grep -q INTERP && fail "build/smackd has an INTERP segment"
readelf -dW build/smackd | grep -q NEEDED && fail "build/smackd needs shared libraries"
size=$(stat -c %s build/smackd)
[[ $size -le $((25 * 1024 * 1024)) ]] || fail "build/smackd has $size bytes, the aim is 25 MiB"
began=$SECONDS
make test >"$work/test.out" 2>&1 || fail "make test: $(tail -n 20 "$work/test.out")"
echo "PASS clean clone: make demo ready after $demo_s s, make test $((SECONDS - began)) s" \
    "($(tail -n 1 "$work/test.out")), static binary of $size bytes"
