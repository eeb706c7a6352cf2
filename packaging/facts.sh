# shellcheck shell=bash
# Sourced by the builders: what a package says of itself. REVISION is the package's own (1), for a package made anew of the
# same version; MAINTAINER and SOURCE_DATE_EPOCH (the last commit's time) can be set.
packaging=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
root=$(dirname "$packaging")
version=$(sed -nE 's/.*kVersion = "([^"]+)".*/\1/p' "$root/cmd/smackd/version.h")
revision=${REVISION:-1}
maintainer=${MAINTAINER:-smackd maintainers <maintainers@smackd.example.org>}
summary="private cloud from one binary"
description="Turns Linux machines into a private cloud: applications (Marathon's definitions) are placed, isolated, named and routed
on all of them, the state is replicated, and nobody gets in without a Kerberos ticket. There is an embedded realm for those
who have none. One static binary, which needs nothing of the host but its kernel."
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$root" log -1 --format=%ct)}
[[ -n $version && -n $SOURCE_DATE_EPOCH ]] || { echo "no version, or no SOURCE_DATE_EPOCH outside a git clone" >&2; exit 1; }
