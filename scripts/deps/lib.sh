# Shared by the scripts in this folder: where things are, how the lock file is read, how keys are made.
# Sourced, not run.
set -euo pipefail

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
lock=${SMACKD_LOCK:-$repo/third_party.lock}
cache=${SMACKD_CACHE:-$HOME/.cache/smackd}
archives=$cache/archives

die() {
    echo "deps: $*" >&2
    exit 1
}

# Names of all dependencies, in the order of the lock file.
lock_names() { sed -n 's/^\[\(.*\)\]$/\1/p' "$lock"; }

# lock_block NAME: the lines of one block, without comments.
lock_block() { awk -v want="[$1]" '/^\[/ { on = ($0 == want) } on && NF && !/^#/' "$lock"; }

# lock_get NAME FIELD: one value; empty when the field is missing or `-`.
lock_get() {
    lock_block "$1" | awk -v field="$2" '$1 == field { $1 = ""; sub(/^ /, ""); if ($0 != "-") print }'
}

# What a dependency is built from: its block (without the reason), its recipe, our patches, the common flags, and
# the dependencies it needs.
dep_key() {
    local need
    {
        for need in $(lock_get "$1" needs); do dep_key "$need"; done
        lock_block "$1" | grep -v '^why '
        cat "$repo/scripts/deps/recipes/$1.sh" "$repo/scripts/deps/flags.sh"
        find "$repo/third_party/patches/$1" -type f 2>/dev/null | LC_ALL=C sort | xargs -r cat
    } | sha256sum | cut -c1-16
}

dep_dir() { echo "$cache/deps/$1-$(dep_key "$1")"; }

# One key over all of them names the merged prefix.
prefix_dir() {
    local name
    echo "$cache/deps-$(for name in $(lock_names); do echo "$name $(dep_key "$name")"; done | sha256sum | cut -c1-16)"
}
