#!/bin/bash
# Must show 9: every command of docs/kerberos.md, typed as it stands; what its last lines say of Windows' and FreeIPA's own
# tools is not.
cd "$(git rev-parse --show-toplevel)" || exit 1
out=$(mktemp)
trap 'rm -f "$out"' EXIT
fail() { tail -n 30 "$out"; echo "FAIL docs/kerberos.md: $*"; exit 1; }
make -s all >"$out" 2>&1 || fail "build"
tests/integration/run kerberos_doc site_realms >"$out" 2>&1 || fail "$(tail -n 1 "$out")"
echo "PASS docs/kerberos.md: $(grep -oE 'kerberos_doc\.[a-z_]+' "$out" | sed 's/.*\.//' | xargs): $(tail -n 1 "$out")"
