#!/bin/sh
# Runs random programs in the simulator: fuzz.sh BUILD, with SEEDS (how many), FROM (the first, by
# default one that depends on the time), or SEED (this one alone) in the environment. The first that
# fails is made smaller and shown.
set -u
simulator=$1/simulator/halo
first=${SEED:-${FROM:-$(date +%s)000}}
count=${SEEDS:-10000}
[ -z "${SEED:-}" ] || count=1

echo "seeds from $first on, $count of them"
output=$("$simulator" spec/simulator/fuzz.lua "$first" "$count" 2>&1)
status=$?
echo "$output"
# A row of the README's table, see spec/support/survived.lua. A run of one seed is none.
done_count=$(echo "$output" | sed -n 's/^\([0-9]*\) seeds.*/\1/p')
if [ -z "${SEED:-}" ] && [ -n "$done_count" ]; then
	mkdir -p "$1/survived"
	printf 'random programs on a model of a kernel\t%s\tseeds\t%s\tmake fuzz SEEDS=%s\n' \
		"$done_count" "$status" "$count" >"$1/survived/fuzz.simulated"
fi
[ $status -ne 0 ] || exit 0
failed=$(echo "$output" | sed -n 's/^seed \([0-9]*\).*/\1/p' | head -n 1)
[ -z "$failed" ] || "$1/halo" spec/simulator/shrink.lua "$simulator" "$failed"
echo "repeat it by: make fuzz SEED=$failed"
exit 1
