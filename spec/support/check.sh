#!/bin/sh
# The quality gates of `make check`, each under a heading of its own. All of them are run, so that
# one look at the output shows everything there is to mend; the last line names the ones that
# failed.
#
#     check.sh MAKE [GATE]...     MAKE is the command to call make with; no GATE means every gate
set -u

cd "$(dirname "$0")/../.." || exit 1
make=$1 && shift
[ $# -gt 0 ] ||
    set -- warnings format lua includes style tidy collector soak libraries \
        sanitize threads valgrind

c_files() { find core bindings examples spec -name '*.[ch]' | sort; }

# No warning from gcc, nor from clang, which warns of other things, where it is installed.
gate_warnings() {
    $make VARIANT=werror WERROR=1 all benches simulator fuzzers || return 1
    if command -v clang >/dev/null; then
        $make VARIANT=clang CC=clang WERROR=1 all benches simulator fuzzers
    else
        echo "clang is not installed; gcc alone has looked"
    fi
}

gate_format() { c_files | xargs clang-format --dry-run -Werror; }

gate_lua() { luacheck --quiet --no-color lua examples spec; }

gate_includes() {
    sh spec/support/includes.sh && $make all && sh spec/support/includes.sh build &&
        sh spec/support/circles.sh build
}

gate_style() { sh spec/support/style.sh; }

# .clang-tidy says what clang-tidy looks for and what is off. Each file has a run of its own, since
# several in one confuse its checks of va_list. The module for nginx takes headers that nginx's
# configure makes.
tidy() {
    if ! command -v clang-tidy >/dev/null; then
        echo "clang-tidy is not installed; it has looked at nothing"
        return
    fi
    packages=$(pkg-config --cflags liburing libxxhash libmd luajit) || return 1
    packages="$packages $(pkg-config --cflags fuse3 2>/dev/null)"
    without=/nginx/
    pkg-config --exists libuv || without='/nginx/\|/uv\.c$'
    c_files | grep '\.c$' | grep -v "$without" |
        xargs -P "$(nproc)" -I FILE clang-tidy --quiet FILE -- \
        -std=gnu11 -D_GNU_SOURCE= -pthread -Icore -Ibindings -Ispec/simulator $packages \
        2>/dev/null
}

# spec/support/cppcheck.txt says what is off.
look_with_cppcheck() {
    if ! command -v cppcheck >/dev/null; then
        echo "cppcheck is not installed; it has looked at nothing"
        return
    fi
    cppcheck --quiet -j "$(nproc)" --error-exitcode=1 --inline-suppr --std=c11 -D_GNU_SOURCE= \
        --enable=warning,performance,portability --library=posix,gnu \
        --suppressions-list=spec/support/cppcheck.txt \
        -Icore -Ibindings -Ispec/simulator core bindings examples spec
}

gate_tidy() { tidy && look_with_cppcheck; }

# Half a minute of what `make soak` does for an hour: it sees what is wrong, and coarse growth.
gate_soak() { $make soak HOURS=0.008; }

# Their sources come over the net; what does not come is skipped.
gate_libraries() { $make libraries; }

# Specs of commands start what no checker follows, and those that are about Lua over calls which
# have specs of their own tell the same on each engine: left are the others.
specs_of_calls() {
    others='cli|closed_stdio|docs|.*examples|readme|prompt.*|host.*|luajit|.*_stock|path'
    others="$others|bad_(input|self)|command_.*|fs_resolve|install|refused_ring|security|survived"
    others="$others|blocking|libraries|lfs|fences.*|nginx|io_.*"
    others="$others|fs_(pattern|perm|glob|rmtree|trees.*|walk.*|copy)|wrong_guess|results"
    printf '%s\n' spec/*_spec.lua | grep -vE "/($others)_spec" | grep -vE "/(${1:-none})_spec"
}

# Specs with the tag #slow take their time on one engine only.
gate_sanitize() {
    TEST_TIMEOUT=1800 $make test SANITIZE=address,undefined ENGINES=auto &&
        TEST_TIMEOUT=1800 BUSTED_FLAGS=--exclude-tags=slow \
            $make test SANITIZE=address,undefined ENGINES='ring pool' \
            SPEC="$(specs_of_calls | xargs)"
}

# A full collection whenever a task goes on, over what tasks and handles are held by. All specs take
# it too (make test GC=stress), but for longer than a gate may.
gate_collector() {
    $make all || return 1
    collected='task scope channel select semaphore queue map coroutine buffer error fs_lines'
    collected="$collected file_buffer core_abandon"
    BUILD_DIR=$PWD/build ENGINES=auto HALO_GC=stress BUSTED_FLAGS=--exclude-tags=slow \
        SPEC=$(printf 'spec/%s_spec.lua ' $collected) sh spec/support/test.sh
}

# The worker threads and the loop under TSAN: halo's own C is instrumented, LuaJIT is not. Some
# kernels place a program where TSAN cannot work, unless they are told not to choose at random.
gate_threads() {
    probe=$(mktemp -d) && echo 'int main(void) { return 0; }' >"$probe/probe.c"
    fixed=
    if ! ${CC:-gcc} -fsanitize=thread -o "$probe/probe" "$probe/probe.c" 2>/dev/null; then
        fixed=none
    elif ! "$probe/probe" 2>/dev/null; then
        fixed="setarch -R"
        $fixed "$probe/probe" 2>/dev/null || fixed=none
    fi
    rm -r "$probe"
    if [ "$fixed" = none ]; then
        echo "skipped: TSAN is not installed for ${CC:-gcc}, or does not run here"
        return
    fi
    $make all SANITIZE=thread || return 1
    BUILD_DIR=$PWD/build/thread SANITIZE=thread ENGINES=pool TEST_TIMEOUT=1500 \
        SPEC="$(specs_of_calls | xargs) spec/host_threads_spec.lua spec/host_tokens_spec.lua" \
        BUSTED_FLAGS=--exclude-tags=slow WRAPPER=$fixed sh spec/support/test.sh
}

# Specs with the tag #slow would take valgrind too long, and so would those that measure time or do
# a thing many times; and it does not know pidfd_open().
gate_valgrind() {
    $make all || return 1
    lengthy='waiting|fs_fast|task|fs_stat|disk_full|fs_watch_many|engine|faults'
    BUILD_DIR=$PWD/build ENGINES=pool BUSTED_FLAGS=--exclude-tags=slow TEST_TIMEOUT=2400 \
        SPEC=$(specs_of_calls "process.*|streams|core_corners|$lengthy") \
        WRAPPER="valgrind -q --leak-check=full --errors-for-leak-kinds=definite
            --show-leak-kinds=definite --error-exitcode=99 --num-callers=30" \
        sh spec/support/test.sh
}

# Runs a gate and keeps its output. Shown is what tells something: not a suite's progress, and not
# that valgrind does not know openat2.
run() {
    start=$(date +%s)
    echo "gate $1 runs"
    if "gate_$1" >"build/check/$1.log" 2>&1; then result=passed; else result=FAILED; fi
    printf '\n==== gate: %s ====\n' "$1"
    sed -i -e 's/+*--[0-9]*-- .*//' -e 's/+\{8,\}//g' -e '/^$/d' "build/check/$1.log"
    cat "build/check/$1.log"
    echo "($1 $result, $(($(date +%s) - start)) s)"
    echo "$1" >>"build/check/$result"
}

rm -rf build/check && mkdir -p build/check
: >build/check/passed && : >build/check/FAILED

# The longest one needs little more than a core, and runs beside the others.
others=
for gate in "$@"; do
    if [ "$gate" = sanitize ]; then run sanitize & else others="$others $gate"; fi
done
for gate in $others; do
    run "$gate"
done
wait

for gate in $(cat build/check/FAILED); do
    printf '\n==== what failed in %s ====\n' "$gate"
    grep -A 6 -E '^(Failure|Error) ->|^WARNING: ThreadS|^SUMMARY: ' "build/check/$gate.log" |
        head -n 40
    tail -n 5 "build/check/$gate.log"
done

printf '\ngates passed: %s\n' "$(xargs <build/check/passed)"
[ ! -s build/check/FAILED ] || { echo "gates FAILED: $(xargs <build/check/FAILED)" && exit 1; }
