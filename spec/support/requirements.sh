#!/bin/sh
# Installs what halo needs and this machine lacks. Where nothing is missing it says nothing, asks
# no network and is done at once.
#
#     requirements.sh [--verify] GROUP...
#
# The groups are build, prompt, test, check, extra and machines. With --verify it installs nothing
# and only says what is missing. A thing is found by looking for it and not by asking the package
# manager, since people also install by hand.
#
# What is in the groups prompt, extra and machines is not needed: without it the prompt edits no
# line, some specs skip, and say so, or `make kernels` and `make aarch64` do. It is installed where
# that is easy, and tried once only.
set -eu

# group  thing         apt-get            dnf                  pacman        apk
requirements='
build    pkg_config    pkg-config         pkgconf-pkg-config   pkgconf       pkgconf
build    liburing      liburing-dev       liburing-devel       liburing      liburing-dev
build    xxhash        libxxhash-dev      xxhash-devel         xxhash        xxhash-dev
build    libmd         libmd-dev          libmd-devel          libmd         libmd-dev
build    libluajit     libluajit-5.1-dev  luajit-devel         luajit        luajit-dev
test     luajit        luajit             luajit               luajit        luajit
test     busted        lua-busted         luarocks             lua51-busted  lua5.1-busted
check    clang_format  clang-format       clang-tools-extra    clang         clang-extra-tools
check    luacheck      lua-check          luarocks             luacheck      luacheck
check    valgrind      valgrind           valgrind             valgrind      valgrind
extra    clang_tidy    clang-tidy         clang-tools-extra    clang         clang-extra-tools
extra    cppcheck      cppcheck           cppcheck             cppcheck      cppcheck
prompt   libedit       libedit-dev        libedit-devel        libedit       libedit-dev
extra    inspect       lua-inspect        luarocks             luarocks      luarocks
extra    lpeg          lua-lpeg           lua-lpeg             lua51-lpeg    lua5.1-lpeg
extra    cjson         lua-cjson          luarocks             luarocks      lua5.1-cjson
extra    fuse          libfuse3-dev       fuse3-devel          fuse3         fuse3-dev
extra    libuv         libuv1-dev         libuv-devel          libuv         libuv-dev
machines qemu_system   qemu-system-x86    qemu-system-x86-core qemu-system-x86 qemu-system-x86_64
machines qemu_user     qemu-user-static   qemu-user-static     qemu-user-static qemu-aarch64
machines gcc_aarch64   gcc-aarch64-linux-gnu gcc-aarch64-linux-gnu aarch64-linux-gnu-gcc gcc
machines busybox       busybox-static     busybox              busybox       busybox-static
machines modprobe      kmod               kmod                 kmod          kmod
machines cpio          cpio               cpio                 cpio          cpio
'

have_pkg_config() { command -v "${PKG_CONFIG:-pkg-config}"; }
have_liburing() { "${PKG_CONFIG:-pkg-config}" --exists liburing; }
have_xxhash() { "${PKG_CONFIG:-pkg-config}" --exists libxxhash; }
have_libmd() { "${PKG_CONFIG:-pkg-config}" --exists libmd; }
have_libluajit() { "${PKG_CONFIG:-pkg-config}" --exists luajit; }
have_luajit() { command -v luajit; }
have_busted() { luajit -e 'require "busted.runner"'; } # LuaJIT must find it, not just any Lua
have_clang_format() { command -v clang-format; }
have_clang_tidy() { command -v clang-tidy; }
have_cppcheck() { command -v cppcheck; }
have_luacheck() { command -v luacheck; }
have_valgrind() { command -v valgrind; }
have_libedit() { "${PKG_CONFIG:-pkg-config}" --exists libedit; }
have_qemu_system() { command -v qemu-system-x86_64; }
have_qemu_user() { command -v qemu-aarch64-static; }
have_gcc_aarch64() { command -v aarch64-linux-gnu-gcc; }
have_busybox() { command -v busybox; }
have_modprobe() { command -v modprobe; }
have_cpio() { command -v cpio; }
have_inspect() { luajit -e 'require "inspect"'; }
have_lpeg() { luajit -e 'require "lpeg"'; }
have_cjson() { luajit -e 'require "cjson"'; }
have_libuv() { "${PKG_CONFIG:-pkg-config}" --exists libuv; }
have_fuse() { "${PKG_CONFIG:-pkg-config}" --exists fuse3; }

# Prints, one a line, the packages of the given column for all that is missing in the groups.
missing() {
    column=$1
    echo "$requirements" | while read -r group thing packages; do
        case " $groups " in *" $group "*) ;; *) continue ;; esac
        [ -n "$thing" ] && ! "have_$thing" >/dev/null 2>&1 || continue
        echo "$packages" | awk -v column="$column" '{ print $column }'
    done | sort -u
}

tell() { printf 'halo: %s\n' "$*" >&2; }

# What to type on each kind of system, for a person to choose from.
explain() {
    tell "some packages are missing here. Depending on the system, as root:"
    tell "    apt-get install" $(missing 1)
    tell "    dnf install" $(missing 2)
    tell "    pacman -S" $(missing 3)
    tell "    apk add linux-headers" $(missing 4)
    tell "What a system does not package (busted, luacheck) luarocks has:"
    tell "    luarocks --lua-version=5.1 install busted"
}

verify=
[ "${1:-}" = --verify ] && { verify=yes && shift; }
groups=$*

extras= tried= # and the files that say they were looked for here
for optional in prompt extra machines; do
    case " $groups " in
    *" $optional "*)
        groups=$(echo "$groups" | sed "s/$optional//")
        [ -e "build/$optional-packages" ] && continue
        extras="$extras$(groups=$optional && missing 1 | sed 's/^/ /')"
        tried="$tried build/$optional-packages" ;;
    esac
done

wanted=$(missing 1)
[ -n "$wanted$extras" ] || exit 0

if [ -n "$verify" ]; then
    [ -n "$wanted" ] || exit 0
    explain
    tell "or let \`make deps\` install them, where there is apt-get."
    exit 1
fi

if ! command -v apt-get >/dev/null; then
    [ -n "$wanted" ] || exit 0
    explain
    exit 1
fi

as_root=
if [ "$(id -u)" != 0 ]; then
    if [ -z "$wanted" ]; then
        exit 0 # nobody is asked for a password for what is not needed
    elif ! command -v sudo >/dev/null; then
        tell "neither root nor sudo. As root, type: apt-get install" $wanted
        exit 1
    fi
    as_root=sudo
fi

tell "installing" $wanted $extras
apt_get() {
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@" >/dev/null
}

# One source of packages that is out of order need not matter: the installation itself decides.
apt_get update || tell "apt-get update had trouble; trying with the lists that are here."
if [ -n "$extras" ]; then
    mkdir -p build && touch $tried
    apt_get install -y --no-install-recommends $extras || tell "going on without" $extras
fi
[ -z "$wanted" ] || apt_get install -y --no-install-recommends $wanted

if [ -n "$(missing 1)" ]; then
    tell "installed, but still not found:" $(missing 1)
    exit 1
fi
