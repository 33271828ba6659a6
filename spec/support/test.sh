#!/bin/sh
# Runs the specs inside halo itself, once for each engine, all engines at the same time since specs
# mostly wait; and closes with the sum over all of them on a line of its own, `N passed, N failed, N
# skipped`. `make test` calls it; the environment says:
#
#     BUILD_DIR      directory of the products to test, absolute
#     ENGINES        engines to run with, of ring, pool and auto
#     SPEC           files or directories; all of spec/ when empty
#     SANITIZE       the sanitizers that the products were built with, if any
#     BUSTED_FLAGS   more options for busted
#     WRAPPER        a command to run halo under, such as valgrind with its options
#     TEST_TIMEOUT   seconds that one engine may take; the default is 1800
#     HALO_GC        stress: a full collection at each step, and each file has a process of its own
#     ON             the kind of file system that TMPDIR is on, where on.sh has chosen it
#
# and the specs find there, beside BUILD_DIR and SANITIZE:
#
#     HALO_BIN       the command halo, absolute
#     HALO_ENGINE    the engine of this run
#     HALO_LUAJIT    how to start a plain luajit that can load $BUILD_DIR/halo.so
set -eu

cd "$(dirname "$0")/../.."
: "${ENGINES:=ring pool auto}" "${SPEC:=spec}" "${SANITIZE:=}" "${BUSTED_FLAGS:=}" "${WRAPPER:=}"
export BUILD_DIR SANITIZE
export HALO_BIN="$BUILD_DIR/halo"
export HALO_LUAJIT="${HALO_LUAJIT:-luajit}"

# The first finding of a sanitizer ends the run, with an exit code that no script uses.
export ASAN_OPTIONS="halt_on_error=1:exitcode=99:detect_leaks=1:strict_string_checks=1"
export UBSAN_OPTIONS="halt_on_error=1:exitcode=99:print_stacktrace=1"
export TSAN_OPTIONS="halt_on_error=1:exitcode=99"
case $SANITIZE in
*address*) # whose runtime has to be there before anything else, or it refuses to work
    HALO_LUAJIT="env LD_PRELOAD=$(gcc -print-file-name=libasan.so) luajit" ;;
*thread*) # whose runtime wants more thread-local memory than a library may ask for later
    HALO_LUAJIT="env LD_PRELOAD=$(gcc -print-file-name=libtsan.so) luajit" ;;
esac

# Distributions ship busted's command as a Lua script. luarocks wraps it into a shell script, which
# halo cannot run; then the two lines below say the same.
busted=$(command -v busted || true)
if ! [ -r "$busted" ] || ! head -n 1 "$busted" | grep -q lua; then
    busted=$BUILD_DIR/busted.lua
    echo 'require "busted.runner" { standalone = false }' >"$busted"
fi

# What was printed before a crash has to be seen.
unbuffer='io.stdout:setvbuf "line"'

logs=$BUILD_DIR/test
mkdir -p "$logs" && rm -f "$logs"/*.counts "$logs"/*.excused "$logs/totals"

# Watches whether the machine stands still; without a compiler nobody does.
export HALO_STALLS="$logs/stalls"
rm -f "$HALO_STALLS"
if ${CC:-gcc} -O1 -pthread -D_GNU_SOURCE -o "$logs/watch_stalls" spec/support/stalls.c 2>"$logs/cc"
then
    "$logs/watch_stalls" "$HALO_STALLS" &
    trap 'kill '$! EXIT
fi

# One engine's run has used 217 MB at most. Where a disk fills up, specs fail that have nothing to
# do with it, and what they print is lost.
for place in "$logs" "${TMPDIR:-/tmp}"; do
    free_mb=$(df -Pm "$place" | awk 'NR == 2 { print $4 }')
    [ "${free_mb:-0}" -ge 700 ] || echo "test: only $free_mb MB are free for $place" >&2
done

heading() { printf '\n== specs, engine %s%s%s ==\n' "$1" "${SANITIZE:+, }" "$SANITIZE"; }

# Where the kernel refuses io_uring there is nothing to test on it. Only that refusal, told as
# such, is a reason to skip: a crash or any other error is not.
refused() {
    [ "$1" = ring ] || return 1
    status=0
    reason=$("$HALO_BIN" --engine=ring -e '' 2>&1) || status=$?
    [ "$status" -ge 1 ] && [ "$status" -le 2 ] && echo "$reason" | grep -qi io_uring
}

# Prints the number before a word in busted's closing line, which reads
# `42 successes / 0 failures / 0 errors / 1 pending : 1.2 seconds`.
count() {
    sed -n "s|^\(.* / \)*\([0-9][0-9]*\) $2.*seconds\$|\2|p" "$1" | tail -n 1
}

# Tells of the whole suite in other surroundings: on a file system of another kind, or with a full
# collection at each step (HALO_GC). See spec/support/survived.lua.
tell() {
    [ "$SPEC$BUSTED_FLAGS$SANITIZE$WRAPPER" = spec ] || return 0
    case ${ON:-}:${HALO_GC:-} in
    *:) [ -n "${ON:-}" ] || return 0
        name=suite_on_$ON kind="the whole suite, on $ON" with=ON=$ON ;;
    :*) name=suite_gc kind="the whole suite, with a full collection whenever a task goes on"
        with=GC=$HALO_GC ;;
    *) return 0 ;;
    esac
    mkdir -p "$BUILD_DIR/survived"
    printf '%s\t%d\tspecs\t%d\tmake test %s\n' "$kind" $(($2 + $3)) "$3" "$with" \
        >"$BUILD_DIR/survived/$name.$1"
}

# Runs specs in one process, on an engine, and adds to good, bad and pending.
one() {
    {
        status=0
        HALO_ENGINE=$1 HALO_EXCUSED="$logs/$1.excused" \
            sh spec/support/watched.sh "${TEST_TIMEOUT:-1800}" \
            $WRAPPER "$HALO_BIN" "$busted" -e "$unbuffer" -o spec/support/at_once.lua \
            $BUSTED_FLAGS $2 2>&1 || status=$?
        echo "$status" >"$log.status"
    } | tee -a "$log" | tee "$log.part"
    status=$(cat "$log.status")

    passed=$(count "$log.part" success) failed=$(count "$log.part" failure)
    errors=$(count "$log.part" error) skipped=$(count "$log.part" pending)
    failed=$((${failed:-0} + ${errors:-0}))
    # An exit code is a failure of its own where the counts show none: a crash, a leak found at the
    # end, the time limit.
    if [ "$failed" = 0 ] && [ "$status" != 0 ]; then
        printf '\nthe run ended with exit code %s\n' "$status"
        [ "$status" != 124 ] || echo "which means that its time was up"
        failed=1
    fi
    good=$((good + ${passed:-0})) bad=$((bad + failed)) pending=$((pending + ${skipped:-0}))
}

# The same for files and directories.
these() {
    good=0 bad=0 pending=0
    if [ -z "${HALO_GC:-}" ]; then
        one "$1" "$2"
    else # which would else go through all that the files before have left, at each step
        for file in $(find $2 -name '*_spec.lua' | sort); do
            one "$1" "$file"
        done
    fi
}

run() {
    log=$logs/$1.log
    heading "$1"
    if refused "$1"; then
        printf 'skipped: this kernel refuses io_uring\n%s\n' "$reason"
        echo 0 0 0 >"$logs/$1.counts"
        return
    fi

    : >"$log"
    these "$1" "$SPEC"
    if [ $((bad + good + pending)) = 0 ]; then
        echo "the run tested nothing"
        bad=1
    fi
    echo "$good $bad $pending" >"$logs/$1.counts"
    tell "$1" "$good" "$bad"
}

# One alone shows its progress; of several each is shown when it and those before it have ended.
set -- $ENGINES
if [ $# = 1 ]; then
    run "$1"
else
    for engine in $ENGINES; do
        run "$engine" >"$logs/$engine.out" 2>&1 &
        echo "$!" >"$logs/$engine.pid"
    done
    for engine in $ENGINES; do
        wait "$(cat "$logs/$engine.pid")" || true
        cat "$logs/$engine.out"
    done
fi

# Says again, in a line each, what failed: of a log that was cut short the end is left. And what is
# left of disk and memory, whose lack fails specs that have nothing to do with each other.
sum_up() {
    printf '\n== what failed\n'
    for engine in $ENGINES; do
        awk -v engine="$engine" '
            /^-- failed: / { print engine ": " substr($0, 12); lines = 12; next }
            /^-- so far/ { lines = 0 }
            lines > 0 { lines--; print "    " substr($0, 1, 200) }
        ' "$logs/$engine.log" | head -n 100
    done
    df -h "$logs" "${TMPDIR:-/tmp}" || true
    grep -s Mem /proc/meminfo || true
}

# A spec's clock means nothing while the machine stands still. Where it did so during each failure
# of an engine, their files run again, alone; a failure without that is one.
again() {
    read -r sum_good sum_bad sum_pending <"$logs/$1.counts" || return 0
    log=$logs/$1.again
    : >"$log"
    for round in 1 2 3; do
        [ "$sum_bad" -gt 0 ] || return 0
        [ "$(cat "$logs/$1.excused" 2>/dev/null | wc -l)" = "$sum_bad" ] || return 0
        files=$(sort -u "$logs/$1.excused")
        rm "$logs/$1.excused"
        printf '\nthe machine stood still: %s again, time %s: %s\n' "$1" $round "$(echo $files)"
        these "$1" "$files"
        sum_good=$((sum_good + sum_bad - bad)) sum_bad=$bad
        echo "$sum_good $sum_bad $sum_pending" >"$logs/$1.counts"
    done
}

for engine in $ENGINES; do
    again "$engine"
done

passed=0 failed=0 skipped=0
for engine in $ENGINES; do
    read -r good bad pending <"$logs/$engine.counts" || { good=0 bad=1 pending=0; }
    passed=$((passed + good)) failed=$((failed + bad)) skipped=$((skipped + pending))
done

[ "$failed" = 0 ] || sum_up
printf '\n%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped" | tee "$logs/totals"
[ "$failed" = 0 ]
