#!/bin/sh
# on.sh KIND COMMAND...: runs a command whose temporary files are on a file system of that kind, and
# so the specs, which all work below TMPDIR. `make test ON=xfs` calls it.
#
#     ext4 xfs btrfs   an image in BUILD_DIR, on a loop device
#     tmpfs            in memory
#     overlay          over two directories of a tmpfs
#
# Whatever becomes of the command, nothing stays mounted, and no image stays. Where such a file
# system cannot be mounted the command does not run: that is said, and is no failure.
set -eu

SIZE_MB=768 # xfs asks for 300; the files are sparse, what is written is far less

kind=$1
shift
image=$BUILD_DIR/on.$kind.$$.img
place=
beside=

unmount() {
    mountpoint -q "$1" || return 0
    umount "$1" 2>/dev/null || umount -l "$1" # what a failed spec has left running may hold it
}

clean() {
    status=$?
    trap - EXIT INT TERM HUP
    if [ -n "$place" ]; then
        unmount "$place"
        rmdir "$place" || true # a spec that was killed may still be at it
    fi
    if [ -n "$beside" ]; then
        unmount "$beside"
        rm -rf --one-file-system "$beside"
    fi
    rm -f "$image"
    exit "$status"
}
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

skip() {
    printf 'skipped: no %s can be mounted here: %s\n' "$kind" "$*"
    exit 0
}

loop() {
    command -v "mkfs.$kind" >/dev/null || skip "there is no mkfs.$kind"
    mkdir -p "$BUILD_DIR"
    truncate -s "${SIZE_MB}M" "$image"
    reason=$("mkfs.$kind" -q "$image" 2>&1) || skip "$reason"
    reason=$(mount -o loop "$image" "$place" 2>&1) || skip "$reason"
}

memory() {
    reason=$(mount -t tmpfs -o "size=${SIZE_MB}m" none "$1" 2>&1) || skip "$reason"
}

[ "$(id -u)" = 0 ] || skip "only root may mount"
place=$(mktemp -d "${TMPDIR:-/tmp}/halo-on-$kind.XXXXXX")
case $kind in
ext4 | xfs | btrfs) loop ;;
tmpfs) memory "$place" ;;
overlay)
    beside=$(mktemp -d "${TMPDIR:-/tmp}/halo-on-layers.XXXXXX")
    memory "$beside"
    mkdir "$beside/lower" "$beside/upper" "$beside/work"
    reason=$(mount -t overlay -o \
        "lowerdir=$beside/lower,upperdir=$beside/upper,workdir=$beside/work" none "$place" 2>&1) ||
        skip "$reason" ;;
*) skip "this script knows ext4 xfs btrfs tmpfs overlay" ;;
esac

chmod 1777 "$place"
printf 'on %s, in %s\n' "$kind" "$place"
ON=$kind TMPDIR=$place "$@"
