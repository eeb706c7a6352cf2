#!/bin/bash
# Must show 6: 20,000 simulated lifetimes of whole clusters (joins, leaves, removal, partitions, crashes, recover, epochs, two
# versions) without a violation; every kind of event happened; every planted bug is caught. LIFETIMES and SEED can be set
# for a shorter look.
cd "$(git rev-parse --show-toplevel)" || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sim=build/sim/tests/sim
make -s $sim || { echo "FAIL cluster worlds: build"; exit 1; }
wanted=${LIFETIMES:-20000} seed=${SEED:-1} each=500 failed=0
run_some() {
    $sim --cluster --seed "$1" --lifetimes $each >"$work/sim.$1" 2>&1 && return
    grep -v '^ ' "$work/sim.$1" | head -n 20
    return 1
}
export -f run_some
export sim each work
seq "$seed" $each $((seed + wanted - 1)) | xargs -P "$(nproc)" -I {} bash -c 'run_some {}' || failed=1
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
