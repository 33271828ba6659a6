#!/bin/sh
# The include rules of the design: data flows one way, and so do the includes,
#
#     examples, spec -> lua/halo -> bindings -> core -> liburing, xxhash, libmd, libc, pthread
#
# and inside of the core and of the bindings from room to room:
#
#     core/          may include every room of it, but of engines/ engine.h alone
#     core/ops       not engines/
#     core/engines   core's own headers, and of ops/ ops.h alone
#     bindings/tasks not fs/
#
# includes.sh looks at the sources, includes.sh BUILD_DIR at what was built from them. It prints
# whatever points the wrong way, and fails if anything does. circles.sh looks for circles.
set -u

cd "$(dirname "$0")/../.." || exit 1

# Prints `file:line: name` for each header that a C file below the directories includes.
headers() {
    grep -rnE --include='*.[ch]' '^[[:space:]]*#[[:space:]]*include' "$@" |
        sed -E 's/^([^:]+:[0-9]+):[^<"]*[<"]([^>"]*)[>"].*/\1: \2/'
}

# Prints `file:line: name` for each module that a Lua file below the directories requires.
modules() {
    grep -rnoE --include='*.lua' "\brequire[[:space:](]*\"[^\"]+" "$@" |
        sed -E "s/^([^:]+:[0-9]+):.*[\"']/\\1: /"
}

# Drops the lines whose header is in one of the directories.
not_in() {
    while read -r place name; do
        for directory in "$@"; do
            [ -e "$directory/$name" ] && continue 2
        done
        echo "$place $name"
    done
}

# Repeats its input line by line, each with the rule that it breaks.
breaks() { sed "s|\$| ($1)|"; }

ours=": ($({
    find core -name '*.h' | sed 's|^core/||'
    find bindings -name '*.h' | sed 's|^bindings/||'
} | sed 's|\.|\\.|' | paste -sd '|' -))\$"

rooms() {
    headers core | grep -v '^core/engines/' | grep ': engines/' |
        grep -v ': engines/engine\.h$' |
        breaks "outside of core/engines nobody sees more of it than engine.h"
    headers core/ops | grep -E ': engines/' | breaks "operations do not know of engines"
    headers core/engines | grep -E ': ops/' | grep -v ': ops/ops\.h$' |
        breaks "of operations, engines see ops.h only"
    headers bindings/tasks | grep -E ': fs/' | breaks "tasks do not know of files"
    # A name without its room would be found in the including file's own.
    for room in core/ops core/engines bindings/tasks bindings/fs; do
        headers "$room" | while read -r place name; do
            [ ! -e "$room/$name" ] || echo "$place $name"
        done | breaks "a header is named with its room"
    done
}

sources() {
    rooms
    headers core | grep -E ': (.*/)?(lua|lauxlib|lualib|luaconf|luajit)\.h$' |
        breaks "the core does not know of Lua"
    headers core | grep -E "$ours" | not_in core | breaks "the core includes only its own headers"
    headers bindings | grep -E "$ours" | not_in bindings | grep -vE ': halo\.h$' |
        breaks "of the core, the bindings see halo.h only"
    headers bindings examples | grep -E ': liburing' | breaks "liburing is the core's alone"
    headers examples | grep -E "$ours" | grep -vE ': (halo|halo_lua)\.h$' |
        breaks "examples see the public headers only"
    headers core bindings examples spec | grep -E ': .*\.\./' |
        breaks "a path out of the directory hides where it leads"
    modules lua | grep -vE ': (halo(\..*)?|ffi|bit|jit(\..*)?|table\.(new|clear)|string\.buffer)$' |
        breaks "lua/halo requires halo and what LuaJIT brings"
    modules examples | grep -E ': (spec|busted|luassert)\b' | breaks "examples do not know of specs"
}

products() {
    nm -D --undefined-only "$1/libhalo-core.so" | grep -E ' U lua' |
        breaks "libhalo-core.so needs Lua"
    nm -D --defined-only "$1/libhalo-core.so" | grep -vE ' (halo_|A HALO_)' |
        breaks "libhalo-core.so exports a name that is not halo's"
    nm -D --defined-only "$1/halo.so" | grep -vE ' (halo_|luaopen_halo|A HALO_)' |
        breaks "halo.so exports a name that is not halo's"
    readelf -d "$1/halo.so" | grep -E 'NEEDED.*lua' | breaks "halo.so brings a Lua of its own"
}

findings=$(if [ $# = 0 ]; then sources; else products "$1"; fi)
[ -z "$findings" ] && echo "includes point one way${1:+, also in the products}" && exit 0
echo "$findings"
exit 1
