#!/bin/bash
# Must show 4, as far as tasks alone go: what a task sees, reaches and breaks, tried from inside real tasks (files, calls, node ports,
# metadata, other tenants, bombs), its limits, what is left behind; and 3 for tasks: kill -9 of daemon, launcher and shim. Real tasks on
# this machine's kernel, driven without a cluster, but for tenants: on a real daemon. Then most of them again in QEMU: Debian's own 6.1
# with pure cgroup v2, and 5.10, which is refused by its name.
cd "$(git rev-parse --show-toplevel)" || exit 1
out=$(mktemp)
trap 'rm -f "$out"' EXIT
fail() { tail -n 40 "$out"; echo "FAIL isolation: $*"; exit 1; }
make -s all tools >"$out" 2>&1 || fail "build"
tests/integration/run tasks. isolation. tenants. kernels. >"$out" 2>&1 || fail "$(tail -n 1 "$out")"
total=$(tail -n 1 "$out")
groups=$([[ -e /sys/fs/cgroup/cgroup.controllers ]] && echo v2 || echo v1)
grep -q '^passed  kernels.tasks_on_debian_12' "$out" || fail "not seen on 6.1 with cgroup v2: $(grep kernels "$out")"
echo "PASS isolation: $total on $(uname -r) with cgroup $groups, and on 6.1 with cgroup v2"
