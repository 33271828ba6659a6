#!/bin/sh
# Runs a command with a limit on its time. Shortly before that is up it says where each thread of
# the command and of what it has started waits, as far as the kernel tells; then it interrupts the
# command, which may say more, and kills it should it withstand.
#
#     watched.sh SECONDS COMMAND [ARGUMENT]...
#
# The exit code is the command's, or 124 where it was ended.
set -u

BEFORE_S=5 # a little before, so that it is the hang that is seen, and not the end
GRACE_S=20

limit=$1 && shift

# Prints a process's number and those of all its descendants.
family() {
    echo "$1"
    for child in $(cat "/proc/$1/task/"*/children 2>/dev/null); do
        family "$child"
    done
}

show_thread() {
    name=$(sed -n 's/^Name:[[:space:]]*//p' "$1/status" 2>/dev/null)
    state=$(sed -n 's/^State:[[:space:]]*//p' "$1/status" 2>/dev/null)
    echo "  thread ${1##*/} $name: $state, in $(cat "$1/wchan" 2>/dev/null || echo '?')," \
        "system call $(cat "$1/syscall" 2>/dev/null || echo '?')"
    sed 's/^/      /' "$1/stack" 2>/dev/null
}

show() {
    printf '\n\nthe time is nearly up; this is where it waits:\n'
    for process in $(family "$1"); do
        command=$(cat "/proc/$process/cmdline" 2>/dev/null | tr '\0' ' ' | cut -c 1-200)
        case $command in
        '' | *watched.sh* | timeout*) continue ;;
        esac
        echo "process $process: $command"
        for thread in "/proc/$process/task/"*; do
            show_thread "$thread"
        done
        if command -v gdb >/dev/null && [ "$(cat "/proc/$process/comm")" = halo ]; then
            timeout 5 gdb -p "$process" -batch -ex 'thread apply all bt 12' 2>/dev/null |
                grep -E '^(#|Thread)' | sed 's/^/    /'
        fi
    done
}

# On a terminal Ctrl-C has to reach the command; elsewhere the limit has to end all that it started.
foreground=
[ ! -t 0 ] || foreground=--foreground

watch() {
    late=$(($(date +%s) + limit - BEFORE_S))
    while kill -0 "$1" 2>/dev/null; do
        sleep 0.5
        if [ "$late" ] && [ "$(date +%s)" -ge "$late" ]; then
            show "$1"
            late=
        fi
    done
}

watch $$ &
watcher=$!
timeout $foreground -s INT -k "$GRACE_S" "$limit" "$@"
status=$?
kill "$watcher" 2>/dev/null
[ "$status" != 137 ] || status=124
exit "$status"
