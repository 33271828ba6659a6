#!/bin/sh
# Lets libFuzzer make inputs up for the fuzzers, each for a while, beginning with the corpus:
#
#     libfuzz.sh MAKE TARGET...     MAKE is the command to call make with
#
# In the environment: SECONDS_EACH (60) and ENGINES, those that arguments is run on. Inputs that
# reach something new are added to build/libfuzzer/found/TARGET; one that fails is left in
# build/libfuzzer and shown, and the status is 1. MERGE=yes takes into the corpus what is needed to
# reach as much as all that was found.
set -u

make=$1 && shift
dir=build/libfuzzer
seconds=${SECONDS_EACH:-60}
corpus=spec/fuzz/corpus
export ASAN_OPTIONS="halt_on_error=1:detect_leaks=0"
failed=

# Inputs longer than that are not tried.
length_of() { case $1 in texts) echo 256 ;; arguments) echo 300 ;; *) echo 600 ;; esac; }

run() {
    target=$1 engine=$2 log=$dir/$1.$2.log
    mkdir -p "$dir/found/$target"
    status=0
    FUZZ_LAST=$dir/$target.last HALO_ENGINE=$engine "$dir/fuzz/$target" \
        -max_len="$(length_of "$target")" -max_total_time="$seconds" -timeout=60 \
        -rss_limit_mb=3000 -detect_leaks=0 -print_final_stats=1 -verbosity=1 \
        -artifact_prefix="$dir/" "$dir/found/$target" "$corpus/$target" >"$log" 2>&1 || status=$?
    if grep '^skipped: ' "$log"; then return; fi
    tried=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    covered=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
    echo "$target, engine $engine: ${tried:-0} inputs in $seconds s, ${covered:-0} branches covered"
    if [ "$status" != 0 ]; then
        grep -v '^#' "$log" | tail -n 60
        [ ! -s "$dir/$target.last" ] || echo "the input is in $dir/$target.last"
        failed="$failed $target"
    fi
    mkdir -p build/survived
    printf '%s\t%s\t%s\t%s\t%s\n' "libFuzzer on $target" "${tried:-0}" inputs $((status != 0)) \
        "make libfuzz TARGET=$target" >"build/survived/libfuzz_$target.$engine"
}

mkdir -p $dir
echo 'int LLVMFuzzerTestOneInput(void *data, long size) { return !data && size; }' >$dir/probe.c
if ! clang -fsanitize=fuzzer,address -o $dir/probe $dir/probe.c 2>$dir/probe.log; then
    echo "skipped: there is no clang with libFuzzer (clang and libclang-rt-dev on Debian)"
    exit 0
fi
$make CC=clang VARIANT=libfuzzer SANITIZE=address,undefined LIBFUZZER=yes \
    $(printf "$dir/fuzz/%s " "$@") || exit 1

for target in "$@"; do
    case $target in
    arguments) for engine in ${ENGINES:-ring pool auto}; do run "$target" "$engine"; done ;;
    *) run "$target" ring ;;
    esac
    if [ -n "${MERGE:-}" ]; then
        "$dir/fuzz/$target" -merge=1 -max_len="$(length_of "$target")" "$corpus/$target" \
            "$dir/found/$target" >"$dir/$target.merge.log" 2>&1
        ls "$corpus/$target" | wc -l
    fi
done
[ -z "$failed" ] || { echo "failed:$failed" && exit 1; }
