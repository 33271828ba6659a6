#!/bin/sh
# Builds halo for aarch64 and runs specs of it under QEMU's translator of programs (qemu-user).
#
#     SPEC=... FULL=1 BUILD_DIR=/path/of/build aarch64.sh MAKE
#
# The libraries and luajit are Debian's for arm64, unpacked below BUILD_DIR. Only halo and luajit
# are translated: the kernel has to know how to start them (binfmt_misc), which is told it for
# this run. The engine is pool, since the translator has no io_uring. Without FULL the specs are
# those of `essentials`. What is missing here is told, and skipped.
set -u

here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.." || exit 1
make=$1
: "${SPEC:=}" "${FULL:=}"
root=$BUILD_DIR/machines/arm64/root
apt_dir=$BUILD_DIR/machines/arm64 apt_arch=arm64
. "$here/packages.sh"

# What differs between machines: how LuaJIT keeps its stack, alignment, atomics, structures that the
# kernel fills.
essentials='coroutine coroutine_stock task scope scope_end channel select semaphore map
    buffer core core_files core_offset core_open core_polls file file_calls file_data file_stream
    fs fs_at fs_copy fs_dir fs_glob fs_hash fs_lines fs_meta fs_perm fs_readfile fs_rmtree fs_stat
    fs_temp fs_walk fs_watch fs_writefile error luajit path'

skip() { echo "skipped: $*" && exit 0; }

[ "$(id -u)" = 0 ] || skip "only root can tell the kernel how to start programs of aarch64"
for tool in qemu-aarch64-static aarch64-linux-gnu-gcc apt-get dpkg-deb; do
    command -v $tool >/dev/null || skip "$tool is not installed (\`make machines-deps\`)"
done

# ---- how the kernel starts them ------------------------------------------------------------------

formats=/proc/sys/fs/binfmt_misc
registered=
# The first bytes of an ELF file for aarch64, and which bits of them count.
register() {
    [ -e $formats/register ] || mount -t binfmt_misc none $formats 2>/dev/null
    cat $formats/qemu-aarch64 $formats/halo-aarch64 2>/dev/null | grep -q '^enabled' && return
    elf='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
    mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
    printf '%s\n' ":halo-aarch64:M::$elf:$mask:$(command -v qemu-aarch64-static):" \
        2>/dev/null >$formats/register && registered=yes
}
unregister() { [ -z "$registered" ] || echo -1 >$formats/halo-aarch64; }

# ---- libraries and halo --------------------------------------------------------------------------

release=$(. /etc/os-release && echo "$VERSION_CODENAME")
packages='libc6 libgcc-s1 luajit libluajit-5.1-2 libluajit-5.1-dev liburing2 liburing-dev libmd0
    libmd-dev libxxhash0 libxxhash-dev lua-filesystem lua-system lua-term'

if [ ! -e "$root/done" ]; then
    echo "aarch64: fetches the libraries"
    rm -rf "$root"
    apt_lists "$release"
    apt_unpack "$root" $packages || skip "Debian's packages for arm64 cannot be had here"
    : >"$root/done"
fi

# Programs find all that by its place below $root, and not by a prefix that QEMU puts before paths:
# that one would hide directories of the same name from the specs.
libraries=$root/usr/lib/aarch64-linux-gnu:$root/lib/aarch64-linux-gnu
loader=$root/lib/ld-linux-aarch64.so.1
link="-Wl,--dynamic-linker=$loader,--disable-new-dtags,-rpath=$libraries,-rpath-link=$libraries"
export PKG_CONFIG_LIBDIR="$root/usr/lib/aarch64-linux-gnu/pkgconfig:$root/usr/share/pkgconfig"
export PKG_CONFIG_SYSROOT_DIR="$root"
$make all VARIANT=aarch64 CC=aarch64-linux-gnu-gcc AR=aarch64-linux-gnu-ar \
    LDFLAGS="$link" || exit 1
unset PKG_CONFIG_LIBDIR PKG_CONFIG_SYSROOT_DIR
survived=$BUILD_DIR/survived
export BUILD_DIR="$BUILD_DIR/aarch64"

# ---- the specs -----------------------------------------------------------------------------------

trap unregister EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
register || skip "the kernel cannot be told how to start programs of aarch64"
"$BUILD_DIR/halo" --version -v || exit 1

if [ -z "$SPEC$FULL" ]; then
    SPEC=$(for name in $essentials; do echo "spec/${name}_spec.lua"; done | xargs)
fi
# The translator keeps descriptors and a thread of its own, and times mean little under it. A child
# of a program with several threads may hang in it.
status=0
export LUA_INIT="package.cpath = '$root/usr/lib/aarch64-linux-gnu/lua/5.1/?.so;' .. package.cpath"
HALO_SLOW=1 HALO_LUAJIT="$loader --library-path $libraries $root/usr/bin/luajit" \
    CC="aarch64-linux-gnu-gcc $link" ENGINES=pool SPEC=$SPEC \
    BUSTED_FLAGS="-o spec/support/at_once.lua --exclude-tags=fork$([ -n "$FULL" ] || echo ,slow)" \
    sh spec/support/test.sh || status=1

read -r passed _ failed _ <<-END
	$(tail -n 1 "$BUILD_DIR/test/totals")
END
mkdir -p "$survived"
printf 'the specs on aarch64, translated\t%d\tspecs\t%d\tmake aarch64\n' $((passed + failed)) \
    "$failed" >"$survived/aarch64.pool"
exit $status
