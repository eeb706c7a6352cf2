#!/bin/bash
# Must show 8: the documents exist, every folder has its README, and what they name is there.
cd "$(git rev-parse --show-toplevel)" || exit 1
missing=()
for file in README.md docs/architecture.md docs/security.md docs/api.md docs/cli.md; do [[ -s $file ]] || missing+=("$file"); done
for folder in core storage auth net services cmd/smackd web tests; do
    [[ -s $folder/README.md ]] || missing+=("$folder/README.md")
done
# A path in back quotes that looks like one of ours must exist.
while read -r path; do [[ -e $path ]] || missing+=("$path (named in a document)"); done < <(
    grep -rhoE '`(core|storage|auth|net|services|cmd|web|tests|scripts|docs|packaging)/[A-Za-z0-9_./-]+`' README.md docs */README.md |
        tr -d '`' | sort -u)
[[ ${#missing[@]} -eq 0 ]] || { printf 'missing: %s\n' "${missing[@]}"; echo "FAIL documents"; exit 1; }
echo "PASS documents: $(git ls-files '*.md' | wc -l) documents, every path they name exists"
