#!/bin/sh
# No circles: neither among the headers by their includes, nor among the files of core/ and of
# bindings/ by their calls, nor among the modules of lua/halo by what they require.
#
#     circles.sh BUILD_DIR
#
# A call is what the object files say: a branch out of one file's code to a function of another's.
# The address of a function in a table (a row, an engine, a luaL_Reg) or handed over as a callback
# is no call, since that is how what is below reaches what is above. What a Lua module requires
# inside of a function counts as well; only fs/init.lua and fs/calls.lua load parts by their names.
#
# Prints, for each circle, the shortest way round and then every edge among its members.
set -u

cd "$(dirname "$0")/../.." || exit 1
build=$1

# Both read `from to why` lines; the names of headers are looked up as the compiler does.
header_edges() {
    find core bindings -name '*.h' | while read -r header; do
        sed -nE 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*"([^"]+)".*/\1/p' "$header" |
            while read -r name; do
                for directory in "$(dirname "$header")" core bindings; do
                    [ -e "$directory/$name" ] || continue
                    echo "$header $directory/$name"
                    break
                done
            done
    done
}

# Without those of sources that are no more.
objects() {
    find "$1" -name '*.c' | sort | while read -r source; do
        object=$build/${source%.c}.o
        [ ! -e "$object" ] || echo "$object"
    done
}

# Of readelf's relocations, those of branches: PLT32 on x86, CALL26 and JUMP26 on arm64 and their
# like. Where a machine has other names for them, every mention of a function in code counts.
call_edges() {
    {
        objects "$1" | while read -r object; do
            echo "file $object"
            nm --defined-only "$object" | sed -nE 's/^[0-9a-f]+ T (.*)/defines \1/p'
            readelf -rW "$object"
        done
    } | awk -v build="$build/" '
        $1 == "file" { file = substr($2, length(build) + 1); sub(/o$/, "c", file); next }
        $1 == "defines" { home[$2] = file; next }
        /^Relocation section/ { code = $3 ~ /\.text/; next }
        code && NF >= 5 { used[++n] = file " " $5 " " $3; branches += $3 ~ /PLT|CALL|JUMP/ }
        END {
            for (i = 1; i <= n; i++) {
                split(used[i], word)
                if (branches && word[3] !~ /PLT|CALL|JUMP/)
                    continue
                name = word[2]
                sub(/@.*/, "", name)
                if (name in home && home[name] != word[1] && !seen[word[1], name]++)
                    print word[1], home[name], name
            }
        }'
}

module_edges() {
    find lua -name '*.lua' | while read -r file; do
        sed -E 's/--.*//' "$file" | grep -oE "require[[:space:](]*\"halo[^\"]*" |
            sed -E 's/.*"//' | while read -r name; do
                path=lua/$(echo "$name" | tr . /)
                [ -e "$path.lua" ] && path=$path.lua || path=$path/init.lua
                [ ! -e "$path" ] || echo "$file $path"
            done
    done
}

# The strongly connected parts of a graph, by the shortest ways between all of its nodes.
circles() {
    awk -v of="$1" '
        function node(name) {
            if (!(name in number)) {
                number[name] = ++count
                names[count] = name
            }
            return number[name]
        }
        {
            a = node($1); b = node($2)
            length_of[a, b] = 1
            next_of[a, b] = b
            if (NF > 2 && whys[a, b]++ < 4)
                why[a, b] = why[a, b] (why[a, b] ? ", " : "") (whys[a, b] < 4 ? $3 : "...")
        }
        function way(from, to,    text) {
            text = names[from]
            do {
                from = next_of[from, to]
                text = text " -> " names[from]
            } while (from != to)
            return text
        }
        END {
            for (k = 1; k <= count; k++)
                for (i = 1; i <= count; i++)
                    if ((i, k) in length_of)
                        for (j = 1; j <= count; j++)
                            if ((k, j) in length_of) {
                                through = length_of[i, k] + length_of[k, j]
                                if (!((i, j) in length_of) || through < length_of[i, j]) {
                                    length_of[i, j] = through
                                    next_of[i, j] = next_of[i, k]
                                }
                            }
            for (i = 1; i <= count; i++) {
                if (told[i] || !((i, i) in length_of))
                    continue
                members = 0
                shortest = i
                for (j = i; j <= count; j++)
                    if (((i, j) in length_of) && ((j, i) in length_of)) {
                        member[++members] = j
                        told[j] = 1
                        if (length_of[j, j] < length_of[shortest, shortest])
                            shortest = j
                    }
                printf "%s: a circle of %d: %s\n", of, members, way(shortest, shortest)
                for (a = 1; a <= members; a++)
                    for (b = 1; b <= members; b++) {
                        from = member[a]; to = member[b]
                        if (next_of[from, to] == to && length_of[from, to] == 1)
                            printf "    %s -> %s%s\n", names[from], names[to],
                                why[from, to] ? " (" why[from, to] ")" : ""
                    }
            }
        }'
}

findings=$(
    header_edges | circles "includes"
    call_edges core | circles "calls"
    call_edges bindings | circles "calls"
    module_edges | circles "requires"
)
[ -z "$findings" ] && echo "no circle of includes, calls or requires" && exit 0
echo "$findings"
exit 1
