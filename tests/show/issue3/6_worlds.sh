#!/bin/bash
# Must show 6: 20,000 simulated lifetimes of whole clusters (joins, leaves, removal, partitions, crashes, recover, epochs, two
# versions) without a violation; every kind of event happened; every planted bug is caught. LIFETIMES and SEED can be set
# for a shorter look.
cd "$(git rev-parse --show-toplevel)" || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sim=build/sim/tests/sim
make -s $sim || { echo "FAIL cluster worlds: build"; exit 1; }
wanted=${LIFETIMES:-20000} seed=${SEED:-1} jobs=$(nproc) pids=()
each=$(((wanted + jobs - 1) / jobs))
for ((job = 0; job < jobs; job++)); do
    $sim --cluster --seed $((seed + job * each)) --lifetimes $each >"$work/sim.$job" 2>&1 &
    pids+=($!)
done
failed=0
for pid in "${pids[@]}"; do wait "$pid" || failed=1; done
[[ $failed -eq 0 ]] || cat "$work"/sim.*
awk '$2 ~ /^[0-9]+$/ && NF == 2 { if (!($1 in sum)) names[++n] = $1; sum[$1] += $2 }
     END { for (i = 1; i <= n; i++) printf "%-26s %d\n", names[i], sum[names[i]] }' "$work"/sim.* | tee "$work/sums"
grep -h '^cpu_seconds' "$work"/sim.*
never=$(awk '$2 == 0 { print $1 }' "$work/sums" | xargs)
[[ -z $never ]] || { echo "never happened: $never"; failed=1; }
passed=$(cat "$work"/sim.* | awk '/ passed, / { sum += $1 } END { print sum + 0 }')
[[ $passed -ge $wanted ]] || { echo "only $passed lifetimes passed, $wanted are wanted"; failed=1; }
$sim --cluster --bug all >"$work/bugs" 2>&1 || failed=1
cat "$work/bugs"
caught=$(grep -c '^caught ' "$work/bugs")
[[ $caught -ge 8 ]] || { echo "only $caught planted bugs are caught"; failed=1; }
[[ $failed -eq 0 ]] || { echo "FAIL cluster worlds"; exit 1; }
recovered=$(awk '$1 == "recovered" { print $2 }' "$work/sums") joined=$(awk '$1 == "joined" { print $2 }' "$work/sums")
echo "PASS cluster worlds: $passed lifetimes, 0 violations, $joined joins, $recovered recoveries; $(tail -n 1 "$work/bugs")"
