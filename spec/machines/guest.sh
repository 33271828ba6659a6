#!/bin/sh
# The only program of a guest (kernels.sh): runs the specs, hands over what test.sh has counted, and
# turns the machine off.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/root TERM=dumb LC_ALL=C

mount -t proc none /proc
mount -t sysfs none /sys
mkdir -p /dev/pts /dev/shm
mount -t devpts -o mode=620,ptmxmode=666 none /dev/pts
mount -t tmpfs none /dev/shm
mount -t tmpfs none /run
ln -s /proc/self/fd /dev/fd 2>/dev/null
ip link set lo up 2>/dev/null
ulimit -n 65536
for name in protected_symlinks protected_regular; do
    echo 1 >/proc/sys/fs/$name
done

tr -d '\000' </dev/vdc >/run/orders
. /run/orders
export HALO_SLOW TEST_TIMEOUT
cd /halo || exit 1
uname -a
build/halo --version -v
# The console shows what the engines print while they run, should the end not come.
mkdir -p build/test
for engine in $ENGINES; do
    : >build/test/$engine.log
done
tail -q -f build/test/*.log &
# As a session of its own, since specs of terminals and signals want one.
BUILD_DIR=/halo/build ENGINES=$ENGINES SPEC=$SPEC BUSTED_FLAGS=$BUSTED_FLAGS \
    setsid -w sh spec/support/test.sh </dev/null >/dev/null
cat build/test/totals
tar -c -C build/test . >/dev/vdb
sync
echo o >/proc/sysrq-trigger
sleep 60
