#!/bin/bash
# Must show 4: detection on real hosts beside serf; 500 members in the simulator at 0 to 30 % loss; pauses of up to 2 s on
# 5 % of 100 nodes for PAUSED_HOURS node-hours (100,000) in all, about an hour of a processor: the aim is no false death.
# PARTS="hosts loss pauses" chooses.
cd "$(git rev-parse --show-toplevel)" || exit 1
sim=build/sim/tests/sim work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
parts=" ${PARTS:-hosts loss pauses} "
make -s all $sim || { echo "FAIL detection: build"; exit 1; }
failed=0
if [[ $parts == *" hosts "* ]]; then python3 tests/show/issue3/4_detection.py || failed=1; fi
[[ $parts == *" loss "* ]] && losses="0 0.1 0.2 0.3"
for loss in ${losses:-}; do
    if $sim --gossip --nodes 500 --hours 0.05 --loss $loss --kill-every 20 >"$work/loss"; then verdict=PASS
    else verdict=FAIL; failed=1; fi
    echo "$verdict 500 nodes, loss $loss: $(xargs <"$work/loss")"
done
[[ $parts == *" pauses "* ]] || exit $failed
hours=$((${PAUSED_HOURS:-100000} / 100 / 2)) pids=()
for seed in 1 2; do
    $sim --gossip --nodes 100 --hours $hours --pausing 0.05 --seed $seed >"$work/pauses.$seed" &
    pids+=($!)
done
verdict=PASS
for pid in "${pids[@]}"; do wait "$pid" || { verdict=FAIL; failed=1; }; done
for seed in 1 2; do echo "$verdict pauses, seed $seed: $(xargs <"$work/pauses.$seed")"; done
exit $failed
