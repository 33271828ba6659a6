#!/bin/sh
# Runs the test suites of libraries that people use, unchanged, by luajit and inside of halo (where
# a script is a task), and compares what has passed: halo must pass all that luajit does, with its
# own LuaFileSystem (--lfs) as well.
#
#     BUILD_DIR=/path/of/build libraries.sh [LIBRARY...]
#
# The sources are those of the distribution, fetched into build/libraries by apt-get, which needs no
# root for that; so are libraries in C that are not installed. What cannot be had is skipped, and
# told. SUITES=/path names a directory with sources that are there already, each in a directory
# of the package's name.
set -u

cd "$(dirname "$0")/../.." || exit 1
dir=$BUILD_DIR/libraries halo=$BUILD_DIR/halo
mkdir -p "$dir/sources" "$dir/packages" "$dir/work" && rm -rf "$dir"/work/*
: "${SUITES:=$dir/sources}"

# library       source package  how     where  Lua's path                             what
suites='
inspect         lua-inspect     busted  .      ./?.lua                                spec
say             lua-say         busted  .      ./src/?.lua;./src/?/init.lua           spec
mediator        lua-mediator    busted  .      ./src/?.lua                            spec
luassert        lua-luassert    busted  .      ./src/?.lua;./src/?/init.lua;./?.lua   spec
argparse        lua-argparse    busted  .      ./src/?.lua                            spec
busted          lua-busted      busted  .      ./?.lua;./?/init.lua                   spec
luacheck        luacheck        busted  .      ./src/?.lua;./src/?/init.lua;./?.lua   spec
penlight        lua-penlight    busted  .      ./lua/?.lua;./lua/?/init.lua           spec
penlight_tests  lua-penlight    files   .      ./lua/?.lua;./lua/?/init.lua           tests/*.lua
lfs             lua-filesystem  files   .      ./?.lua                                tests/test.lua
lpeg            lua-lpeg        files   .      ./?.lua                                test.lua
cjson           lua-cjson       files   tests  ../lua/?.lua                           test.lua
serpent         serpent         files   .      ./src/?.lua                            t/test.lua
'

# ---- what the distribution has -------------------------------------------------------------------

# Its sources are asked for where its packages are, by lists of our own.
prepare_apt() {
    [ ! -e "$dir/apt/conf" ] || return 0
    command -v apt-get >/dev/null || return 1
    mkdir -p "$dir/apt/lists/partial" "$dir/apt/parts" "$dir/apt/cache"
    for list in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
        case $list in
        *.sources) sed 's/^Types:.*/Types: deb deb-src/' "$list" ;;
        *) sed -n 's/^deb \(.*\)/deb \1\ndeb-src \1/p' "$list" ;;
        esac >"$dir/apt/parts/${list##*/}" 2>/dev/null
    done
    cat >"$dir/apt/conf" <<-END
		Dir::Etc::sourcelist "/dev/null";
		Dir::Etc::sourceparts "$dir/apt/parts";
		Dir::State::lists "$dir/apt/lists";
		Dir::Cache "$dir/apt/cache";
		APT::Sandbox::User "$(id -un)";
	END
    APT_CONFIG=$dir/apt/conf timeout 120 apt-get -qq update >"$dir/apt/log" 2>&1 || true
}

# The sources of a package, where they are not there already: of its files the upstream's own is
# enough, as what is tested is that.
fetch_source() {
    [ ! -d "$SUITES/$1" ] || return 0
    [ ! -e "$dir/sources/$1.missing" ] && prepare_apt || return 1
    (
        cd "$dir/sources" || exit 1
        APT_CONFIG=$dir/apt/conf timeout 60 \
            apt-get -qq source --download-only "$1" >>"$dir/apt/log" 2>&1
        archive=$(ls "$1"_*.orig.tar.* 2>/dev/null | head -n 1)
        [ -n "$archive" ] || { : >"$1.missing" && exit 1; }
        mkdir "$1.new" && tar xf "$archive" --strip-components=1 -C "$1.new" && mv "$1.new" "$1"
    )
}

# A library in C that luajit does not find: its package, unpacked aside.
fetch_module() {
    LUA_CPATH="$cpath" luajit -e "require '$1'" >/dev/null 2>&1 && return
    prepare_apt || return 1
    (
        cd "$dir/packages" || exit 1
        APT_CONFIG=$dir/apt/conf timeout 60 \
            apt-get -qq download "$2" >>"$dir/apt/log" 2>&1
        dpkg -x "$2"_*.deb . 2>>"$dir/apt/log"
    )
    LUA_CPATH="$cpath" luajit -e "require '$1'" >/dev/null 2>&1
}

cpath="$dir/packages/usr/lib/$(gcc -print-multiarch 2>/dev/null)/lua/5.1/?.so;;"

# ---- one suite -----------------------------------------------------------------------------------

busted=$(command -v busted)

# run LOG HOW WHERE PATH WHAT COMMAND...: puts what is printed into LOG, and a line for each test
# that has passed into LOG.ok. Each run works in a copy of the sources.
run() {
    log=$dir/work/$1 how=$2 where=$3 path=$4 what=$5 && shift 5
    tree=$log.tree
    rm -rf "$tree" && cp -r "$source" "$tree"
    (
        cd "$tree/$where" || exit 1
        export LUA_PATH="$path;;" LUA_CPATH="$cpath"
        if [ "$how" = busted ]; then
            timeout 300 "$@" "$busted" --ignore-lua -o TAP "$what" </dev/null
            exit
        fi
        for file in $what; do
            timeout 100 "$@" "$file" </dev/null && echo "ok $file"
        done
    ) >"$log" 2>&1
    rm -rf "$tree"
    grep -E '^ok |PASS' "$log" | sed 's/^ok [0-9]* - /ok /' | sort >"$log.ok"
}

count() { grep -c . "$dir/work/$1.ok"; }

total=0 failed= names=0

compare() {
    name=$1 package=$2
    shift 2
    source=$SUITES/$package
    run "$name.luajit" "$@" luajit &
    run "$name.halo" "$@" "$halo" &
    run "$name.lfs" "$@" "$halo" --lfs &
    wait
    printf '%-15s %5d by luajit, %5d by halo, %5d by halo --lfs\n' "$name" \
        "$(count "$name.luajit")" "$(count "$name.halo")" "$(count "$name.lfs")"
    total=$((total + $(count "$name.luajit"))) names=$((names + 1))
    expected=$dir/work/$name.luajit.ok
    for got in "$dir/work/$name.halo.ok" "$dir/work/$name.lfs.ok"; do
        if ! cmp -s "$expected" "$got" || [ ! -s "$expected" ]; then
            diff "$expected" "$got" | grep '^[<>]' | head -n 20
            failed="$failed $name"
        fi
    done
}

echo "$suites" >"$dir/work/suites"
while read -r name package how where path what; do
    [ -n "$name" ] || continue
    case " ${*:-$name} " in *" $name "*) ;; *) continue ;; esac
    if ! fetch_source "$package"; then
        printf '%-15s skipped: the source package %s cannot be had\n' "$name" "$package"
        continue
    fi
    case $name in
    lpeg) fetch_module lpeg lua-lpeg ;;
    cjson) fetch_module cjson lua-cjson ;;
    *) fetch_module lfs lua-filesystem ;;
    esac || { printf '%-15s skipped: its library in C cannot be had\n' "$name" && continue; }
    compare "$name" "$package" "$how" "$where" "$path" "$what"
done <"$dir/work/suites"

mkdir -p "$BUILD_DIR/survived"
printf '%s\t%s\t%s\t%s\t%s\n' "suites of libraries, as by luajit" "$total" "tests" \
    "$(echo $failed | wc -w)" "make libraries" >"$BUILD_DIR/survived/libraries.all"
echo "$total tests of $names suites pass by luajit," \
    "${failed:+not }all of them by halo${failed:+:}$failed"
[ -z "$failed" ]
