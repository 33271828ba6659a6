#!/bin/sh
# Runs the specs with a halo that counts which branches are taken, and random programs in the
# simulator, which has the core's own engines in half of the runs; then tells which were not.
# `make coverage` calls it:
#
#     coverage.sh BUILD_DIR      the directory of objects built with --coverage, absolute
#
# ENGINES and SPEC are as for test.sh, KEEP=1 adds to what was counted before, and SEEDS is how many
# programs there are, which with SPEC are none unless it is given. What a process has
# counted is written when it ends, and lost where a signal ends it: so each file of specs has a
# process of its own. What only fails is tried in whole on one engine.
set -u

cd "$(dirname "$0")/../.." || exit 1
export BUILD_DIR=$1 SANITIZE= HALO_LUAJIT=luajit
export HALO_BIN="$BUILD_DIR/halo"
export HOST_LIBS=-lgcov # which the library counts by
export COUNTING=1       # what ends by _exit() ends by exit(), which writes what was counted
: "${ENGINES:=ring pool auto}" "${KEEP:=}"
[ -n "${SPEC:-}" ] || : "${SEEDS:=600}" "${SPEC:=$(echo spec/*_spec.lua)}"

# Specs also run as nobody, who may write to files but not make them; so they are there before.
if [ -z "$KEEP" ]; then
    find "$BUILD_DIR" -name '*.gcno' | sed 's/gcno$/gcda/' | while read -r counts; do
        : >"$counts" && chmod 666 "$counts"
    done
fi

busted=$(command -v busted)
logs=$BUILD_DIR/test
mkdir -p "$logs"

run() {
    [ "$1" != auto ] || export FAULTS=all
    for spec in $SPEC; do
        log=$logs/$(basename "$spec" .lua).$1.log
        HALO_ENGINE=$1 sh spec/support/watched.sh 2400 "$HALO_BIN" "$busted" "$spec" \
            >"$log" 2>&1 || echo "$spec failed on $1: $log tells how"
    done
}

for engine in $ENGINES; do
    run "$engine" &
done
if [ -n "${SEEDS:-}" ]; then
    "$BUILD_DIR/simulator/halo" spec/simulator/fuzz.lua 1 "$SEEDS"
fi
wait

luajit spec/support/coverage.lua "$BUILD_DIR" >"$BUILD_DIR/coverage.txt"
result=$?
cat "$BUILD_DIR/coverage.txt"
exit $result
