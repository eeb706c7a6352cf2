#!/bin/bash
# Must show 6: tenants kept apart with real packets over two nodes (by addresses, published ports, forged packets, allowances, nodes that
# go), on a cluster and without one; encrypted by WireGuard on a kernel that has it (Debian's 6.1 in QEMU); and how fast tasks speak over
# VXLAN beside plain veth.
cd "$(git rev-parse --show-toplevel)" || exit 1
out=$(mktemp)
trap 'rm -f "$out"' EXIT
fail() { tail -n 40 "$out"; echo "FAIL tenants: $*"; exit 1; }
make -s all tools >"$out" 2>&1 || fail "build"
tests/integration/run overlay. cluster_network. kernels.encryption >"$out" 2>&1 || fail "$(tail -n 1 "$out")"
figures=$(sed -n 's/^throughput: //p' "$out")
[[ -n $figures ]] || fail "no figures"
grep -q '^passed  cluster_network.addresses_over_nodes' "$out" || fail "not seen on a cluster: $(grep cluster_network "$out")"
grep -q '^passed  kernels.encryption_between_nodes' "$out" || fail "encryption not seen: $(grep kernels "$out")"
echo "PASS tenants: $figures; $(tail -n 1 "$out"), encrypted on 6.1"
