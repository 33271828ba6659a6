#!/bin/sh
# Runs the specs on other kernels: Debian's, each booted in a virtual machine of QEMU.
#
#     KERNELS="5.10 6.1 6.12 current" ENGINES="ring pool" SPEC=... FULL=1 BUILD_DIR=... kernels.sh
#
# A kernel is the beginning of a version, or `current` for the newest there is. Beside the engines
# there is `refused`: the engine auto where the sysctl kernel.io_uring_disabled forbids io_uring to
# all, which kernels have from 6.6 on. Without FULL the specs are those of `essentials`. The guest's
# disk has this machine's packages; halo's sources and build/ come by a second disk, as a tar file,
# and so does by a third what the guest says beside its console. With /dev/kvm a guest is as fast as
# this machine; without it QEMU translates, and the guest knows by HALO_SLOW=1 that times mean
# little.
#
# What is missing here is told, and skipped.
set -u

here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.." || exit 1
: "${KERNELS:=5.10 6.1 6.12 current}" "${ENGINES:=ring pool auto refused}" "${SPEC:=}" "${FULL:=}"
: "${KERNEL_TIMEOUT:=3600}" # seconds for one kernel
work=$BUILD_DIR/kernels
apt_dir=$work/apt apt_arch=amd64
. "$here/packages.sh"

# What says most about a kernel for its time: each call, streams, cancels, processes.
# Those that make large trees or thousands of processes, compile helpers, or measure time, are not
# here.
essentials='core core_files core_offset core_polls core_loop file file_calls file_data file_stream
    streams poll process fs fs_at fs_meta fs_temp fs_writefile fs_poll fs_watch_root scope
    task_cancel refused_sysctl'

kvm='-accel kvm -cpu max,-arch-capabilities'

skip() { echo "skipped: $*" && exit 0; }

[ "$(uname -m)" = x86_64 ] || skip "the kernels are Debian's for amd64, and this machine is another"
[ "$(id -u)" = 0 ] || skip "only root can make the guest's disk"
for tool in qemu-system-x86_64 busybox apt-get dpkg-deb mke2fs modprobe depmod cpio xz; do
    command -v $tool >/dev/null || skip "$tool is not installed (\`make machines-deps\`)"
done
file_is_static() { ! ldd "$1" >/dev/null 2>&1; }
file_is_static "$(command -v busybox)" || skip "busybox is not the static one"

# ---- kernels -------------------------------------------------------------------------------------

# Of the packages that a kernel may consist of: image, and for newer ones binary and modules.
list_kernels() {
    apt_of apt-cache search --names-only '^linux-(image|binary|modules)-[0-9][^ ]*-cloud-amd64$' |
        sed 's/ .*//' | grep -v 'deb[0-9]*[.][0-9]' >"$work/available"
}

# The newest image of a version: their names hold the version.
newest() {
    sed -n 's/^linux-image-\(.*\)-cloud-amd64$/\1/p' "$work/available" |
        if [ "$1" = current ]; then cat; else grep "^$1[.]"; fi | sort -V | tail -n 1
}

# Unpacks a kernel with its modules to $work/VERSION.
unpack() {
    [ -e "$work/$1/vmlinuz" ] && return
    packages=$(grep -F -- "-$1-cloud-amd64" "$work/available")
    apt_unpack "$work/$1" $packages || return 1
    modules=$(find "$work/$1" -type d -path '*/lib/modules' | head -n 1)
    depmod -b "${modules%/lib/modules}" "$1-cloud-amd64" 2>/dev/null
    cp "$(find "$work/$1" -name 'vmlinuz*' | head -n 1)" "$work/$1/vmlinuz"
}

# Prints the files of the modules that one needs, those first that others want.
files_of() {
    modprobe --dirname "$1" --set-version "$2-cloud-amd64" --show-depends "$3" 2>/dev/null |
        sed -n 's/^insmod \([^ ]*\).*/\1/p'
}

# An initial file system that finds the disk, and takes along what specs mount.
initial() {
    tree=$work/$1/initial
    modules=$(find "$work/$1" -type d -path '*/lib/modules' | head -n 1)
    rm -rf "$tree" && mkdir -p "$tree/modules" "$tree/proc" "$tree/sys" "$tree/dev" "$tree/root"
    cp "$(command -v busybox)" "$tree/busybox"
    number=100
    for name in virtio_pci virtio_blk ext4 fuse overlay loop xfs btrfs tun; do
        for module in $(files_of "${modules%/lib/modules}" "$1" $name); do
            base=$(basename "${module%.xz}")
            ls "$tree/modules" | grep -q "^[0-9]*-$base\$" && continue
            number=$((number + 1))
            case $module in
            *.xz) xz -dc "$module" >"$tree/modules/$number-$base" ;;
            *) cp "$module" "$tree/modules/$number-$base" ;;
            esac
        done
    done
    cp "$here/initial.sh" "$tree/init" && chmod +x "$tree/init"
    (cd "$tree" && find . | cpio -o -H newc --quiet | gzip -1) >"$work/$1/initial.gz"
}

# ---- the guest's disk ----------------------------------------------------------------------------

# The packages whose files the guest gets, as far as they are installed, and all that they need.
tools='bash coreutils dash findutils grep sed gawk mawk mount util-linux procps psmisc luajit
    lua-busted gcc make pkg-config liburing-dev libluajit-5.1-dev libxxhash-dev libmd-dev
    libedit-dev libfuse3-dev fuse3 strace attr acl e2fsprogs xfsprogs btrfs-progs diffutils file tar
    gzip binutils hostname libc-bin passwd login tmux git python3-minimal'

installed() {
    dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' 2>/dev/null | sed -n 's/^ii *//p'
}

needed() {
    installed | sort >"$work/installed"
    wanted=$(printf '%s\n' $tools | sort | comm -12 - "$work/installed")
    apt-cache depends --recurse --installed --no-recommends --no-suggests --no-conflicts \
        --no-breaks --no-replaces --no-enhances $wanted 2>/dev/null |
        sed -n 's/^\([a-z0-9][^:< ]*\).*/\1/p' | sort -u | comm -12 - "$work/installed"
}

# Alternatives are links that no package has. It is made anew when other packages are installed.
disk() {
    tree=$work/tree
    needed >"$work/packages.now"
    xargs dpkg-query -W <"$work/packages.now" >"$work/versions.now"
    cmp -s "$work/versions.now" "$work/versions" && return
    echo "kernels: makes the guest's disk"
    rm -rf "$tree" "$work/disk" "$work/versions"
    mkdir -p "$tree/usr/bin" "$tree/usr/sbin" "$tree/usr/lib" "$tree/usr/lib64"
    for name in bin sbin lib lib64; do ln -s "usr/$name" "$tree/$name"; done
    {
        xargs dpkg -L <"$work/packages.now" 2>/dev/null |
            grep -vE '^/usr/share/(doc|man|locale|info)/'
        find /usr/bin -lname '/etc/alternatives/*'
        find /etc/alternatives /etc/ld.so.* /etc/passwd /etc/group /etc/shadow /etc/nsswitch.conf
    } | sort -u | tar -c --no-recursion --ignore-failed-read -T - 2>/dev/null |
        tar -x -C "$tree" --keep-directory-symlink
    (cd "$tree" && mkdir -p proc sys dev tmp run root mnt var/tmp halo && chmod 1777 tmp var/tmp)
    mke2fs -q -F -t ext4 -O '^has_journal' -d "$tree" "$work/disk" 3G >/dev/null || return 1
    rm -rf "$tree"
    mv "$work/versions.now" "$work/versions"
}

# What /halo is made of in a guest.
luggage() {
    tar -c -f "$work/luggage" --exclude=./build --exclude=./.git . || return 1
    (cd "$BUILD_DIR" && find . -maxdepth 1 -type f && find ./simulator -type f 2>/dev/null) |
        tar -r -f "$work/luggage" -C "$BUILD_DIR" --transform='s|^[.]/|./build/|' -T - &&
        tar -r -f "$work/luggage" -C "$work" ./orders
}

# ---- running -------------------------------------------------------------------------------------

# Whether KVM boots a kernel: inside of another virtual machine it may be there and not work.
accelerated() {
    [ -w /dev/kvm ] && timeout 30 qemu-system-x86_64 $kvm -machine q35 -m 512 -nographic \
        -no-reboot -kernel "$work/$1/vmlinuz" -append "console=ttyS0 panic=-1" \
        </dev/null 2>/dev/null | grep -q "Linux version"
}

specs() {
    if [ -n "$SPEC" ]; then
        echo "$SPEC"
    elif [ -n "$FULL" ]; then
        echo spec
    else
        for name in $essentials; do echo "spec/${name}_spec.lua"; done | xargs
    fi
}

boot() {
    rm -rf "$work/$1/results" && mkdir -p "$work/$1/results"
    truncate -s 0 "$work/$1/answer" && truncate -s 64M "$work/$1/answer"
    timeout "$KERNEL_TIMEOUT" qemu-system-x86_64 -machine q35 $accel -smp 2 -m 2048 -nographic \
        -no-reboot -kernel "$work/$1/vmlinuz" -initrd "$work/$1/initial.gz" \
        -drive "file=$work/disk,format=raw,if=virtio,snapshot=on,cache=unsafe" \
        -drive "file=$work/$1/answer,format=raw,if=virtio" \
        -drive "file=$work/luggage,format=raw,if=virtio,readonly=on" \
        -append "console=ttyS0 quiet panic=-1 no_timer_check $options" \
        </dev/null >"$work/$1/console" 2>&1
    tar -x -f "$work/$1/answer" -C "$work/$1/results" 2>/dev/null
}

# A kernel that starts changes its own code, of which a translating QEMU misses a change at times.
# Then it panics before any spec, and is started again.
boot_at_last() {
    for _ in 1 2 3; do
        boot "$1"
        [ -z "$(ls "$work/$1/results")" ] && grep -q 'Kernel panic' "$work/$1/console" || break
    done
}

mkdir -p "$work"
if [ -z "$(find "$work/available" -mtime -1 -size +0 2>/dev/null)" ]; then
    echo "kernels: reads what Debian has"
    apt_lists bullseye bookworm trixie sid
    list_kernels
fi
versions=
for kernel in $KERNELS; do
    version=$(newest "$kernel")
    [ -n "$version" ] || { echo "$kernel: skipped, there is no such kernel" && continue; }
    if unpack "$version" && initial "$version"; then
        versions="$versions $version"
    else
        echo "$kernel: skipped, $version could not be fetched"
    fi
done
[ -n "$versions" ] || skip "there is no kernel to boot"

disk || exit 1
slow= accel=$kvm options= init=
if ! accelerated "$(echo $versions | cut -d' ' -f1)"; then
    # The clock is this processor's, and the guest cannot measure it while it has to wait for the
    # processor. There is nobody to hide from. What LuaJIT compiles has to be translated each time.
    slow=1 accel="-accel tcg -cpu max" options="tsc=reliable mitigations=off" init="jit.off()"
    options="$options tsc_early_khz=$(sed -n '/^cpu MHz/{s/.*: //;s/[.]//p;q}' /proc/cpuinfo)"
fi
cat >"$work/orders" <<-END
	ENGINES="$ENGINES"
	SPEC="$(specs)"
	BUSTED_FLAGS="-o spec/support/at_once.lua$([ -n "$FULL" ] || echo ' --exclude-tags=slow')"
	export HALO_SLOW=$slow LUA_INIT="$init" TEST_TIMEOUT=$((KERNEL_TIMEOUT - 300))
END
luggage || exit 1

# All at the same time, since specs mostly wait; one after another where each is work for all cores.
for version in $versions; do
    echo "kernels: $version runs${slow:+, translated}"
    boot_at_last "$version" &
    [ -z "$slow" ] || wait
done
wait

# ---- the table -----------------------------------------------------------------------------------

passed_all=0 failed_all=0 skipped_all=0
printf '\n%-24s %-7s %8s %8s %8s\n' kernel engine passed failed skipped
for version in $versions; do
    for engine in $ENGINES; do
        if read -r passed failed skipped <"$work/$version/results/$engine.counts"; then :; else
            passed=0 failed=1 skipped=0 # it did not come so far: its console tells
        fi 2>/dev/null
        printf '%-24s %-7s %8d %8d %8d\n' "$version" "$engine" "$passed" "$failed" "$skipped"
        passed_all=$((passed_all + passed)) failed_all=$((failed_all + failed))
        skipped_all=$((skipped_all + skipped))
        [ -z "$SPEC" ] && [ "$passed" != 0 ] || continue # a part, or no guest, is no row
        mkdir -p "$BUILD_DIR/survived"
        series=$(echo "$version" | cut -d. -f1,2)
        printf 'the specs on Linux %s, all engines\t%d\tspecs\t%d\tmake kernels\n' "$series" \
            $((passed + failed)) "$failed" >"$BUILD_DIR/survived/kernel-$series.$engine"
    done
done
printf '\n%d passed, %d failed, %d skipped\n' $passed_all $failed_all $skipped_all
[ $failed_all = 0 ] || { echo "see $work/VERSION/console and results/" && exit 1; }
