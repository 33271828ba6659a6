#!/bin/sh
# Soaks each engine, all at the same time, and says of each whether it held.
#
#     HOURS=1 ENGINES="ring pool auto" BUILD_DIR=/path/of/build soak.sh
#
# What each has printed is in $BUILD_DIR/soak/ENGINE.log.
set -u

cd "$(dirname "$0")/../.." || exit 1
: "${HOURS:=1}" "${ENGINES:=ring pool auto}"
export BUILD_DIR HOURS
logs=$BUILD_DIR/soak
mkdir -p "$logs" && rm -f "$logs"/*

# Only a refusal of io_uring is a reason to skip.
refused() {
    [ "$1" = ring ] && "$BUILD_DIR/halo" --engine=ring -e '' 2>&1 | grep -qi io_uring
}

for engine in $ENGINES; do
    if refused "$engine"; then
        echo "$engine: skipped, this kernel refuses io_uring" >"$logs/$engine.log"
        continue
    fi
    HALO_ENGINE=$engine "$BUILD_DIR/halo" spec/soak/run.lua >"$logs/$engine.log" 2>&1 &
    echo "$!" >"$logs/$engine.pid"
done

failed=
for engine in $ENGINES; do
    [ ! -e "$logs/$engine.pid" ] || wait "$(cat "$logs/$engine.pid")" || failed="$failed $engine"
    cat "$logs/$engine.log"
    echo
done
[ -z "$failed" ] || { echo "the soak FAILED on:$failed" && exit 1; }
echo "the soak held on: $ENGINES"
