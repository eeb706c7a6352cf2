#!/bin/bash
# Must show 5: 20,000 simulated lifetimes of clusters of 3 and 5 servers, each of at least 500 acknowledged operations,
# without a violation; every kind of fault happened; every planted bug is caught. LIFETIMES and SEED can be set for a
# shorter look.
cd "$(git rev-parse --show-toplevel)" || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sim=build/sim/tests/sim operations=500
make -s $sim || { echo "FAIL simulation: build"; exit 1; }
wanted=${LIFETIMES:-20000} seed=${SEED:-1} jobs=$(nproc) pids=()
# One lifetime of eight is of a single server and comes on top.
each=$((wanted * 6 / 5 / jobs + 1))
for ((job = 0; job < jobs; job++)); do
    $sim --seed $((seed + job * each)) --lifetimes $each --ops $operations >"$work/sim.$job" 2>&1 &
    pids+=($!)
done
failed=0
for pid in "${pids[@]}"; do wait "$pid" || failed=1; done
[[ $failed -eq 0 ]] || cat "$work"/sim.*
# Sums over the jobs; of the least number of operations the least.
awk '$2 ~ /^[0-9]+$/ && NF == 2 {
         if (!($1 in sum)) { names[++n] = $1; sum[$1] = $1 ~ /_min$/ ? $2 : 0 }
         if ($1 ~ /_min$/) { if ($2 < sum[$1]) sum[$1] = $2 } else sum[$1] += $2
     }
     END { for (i = 1; i <= n; i++) printf "%-24s %d\n", names[i], sum[names[i]] }' "$work"/sim.* | tee "$work/sums"
grep -h -e '^cpu_seconds' -e '^seeds' "$work"/sim.*
sum() { awk -v name="$1" '$1 == name { print $2 }' "$work/sums"; }
clusters=$(($(sum lifetimes_of_3_servers) + $(sum lifetimes_of_5_servers)))
[[ $clusters -ge $wanted ]] || { echo "only $clusters lifetimes of 3 and 5 servers passed, $wanted are wanted"; failed=1; }
[[ $(sum acknowledged_min) -ge $operations ]] || { echo "a lifetime had only $(sum acknowledged_min) operations"; failed=1; }
for name in power_failure power_failure_in_write kill partition one_way_partition loss_delay_double pause clock_step full_disk \
    slow_disk bit_flip leadership_transfer membership_change old_version writes_torn writes_lost writes_without_space \
    messages_dropped messages_doubled messages_delayed messages_reordered messages_cut elections snapshots \
    snapshot_installs consistent_reads conflicts_refused invalid_refused unknown_outcomes; do
    [[ $(sum "$name") -gt 0 ]] || { echo "never happened: $name"; failed=1; }
done
$sim --bug all >"$work/bugs" 2>&1 || failed=1
cat "$work/bugs"
caught=$(grep -c '^caught ' "$work/bugs")
[[ $caught -ge 20 ]] || { echo "only $caught planted bugs are caught"; failed=1; }
[[ $failed -eq 0 ]] || { echo "FAIL simulation"; exit 1; }
echo "PASS simulation: $clusters lifetimes of 3 and 5 servers, 0 violations; $(tail -n 1 "$work/bugs")"
