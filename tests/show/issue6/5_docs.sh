#!/bin/bash
# Must show 5: every command in a fence of README.md, docs/install.md, operate.md, recovery.md, kerberos.md and monitoring.md is typed as it stands, on
# machines of its own, or has a remark that says why it is not; what the documents show as output is what is printed.
cd "$(git rev-parse --show-toplevel)" || exit 1
out=$(mktemp)
trap 'rm -f "$out"' EXIT
fail() { grep -A 12 '^failed' "$out" || tail -n 40 "$out"; echo "FAIL docs: $*"; exit 1; }
make -s build/smackd >"$out" 2>&1 || fail "build"
tests/integration/run install_doc. kerberos_doc. monitoring. operate_doc. readme_doc. typed_docs. >"$out" 2>&1 || fail "$(tail -n 1 "$out")"
figures=$(sed -n 's/^docs: //p' "$out")
[[ $figures == *"of 6 documents"* ]] || fail "not all documents were typed: $figures"
echo "PASS docs: $figures; $(tail -n 1 "$out")"
