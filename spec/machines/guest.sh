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

cd /halo || exit 1
. ./orders
uname -a
build/halo --version -v
results=/halo/build/results
mkdir -p build/test $results
# The console shows what the engines print while they run, should the end not come.
for engine in ring pool auto; do
    : >build/test/$engine.log
done
tail -q -f build/test/*.log 2>/dev/null &

# As a session of its own, since specs of terminals and signals want one.
run_specs() {
    BUILD_DIR=/halo/build ENGINES=$1 SPEC=$SPEC BUSTED_FLAGS=$BUSTED_FLAGS \
        setsid -w sh spec/support/test.sh </dev/null >/dev/null
    cat build/test/totals
}

engines= refused=
for engine in $ENGINES; do
    if [ $engine = refused ]; then refused=yes; else engines="$engines $engine"; fi
done
if [ -n "$engines" ]; then
    run_specs "$engines"
    cp build/test/*.counts build/test/*.log $results
fi
# Where the kernel refuses io_uring to all, `auto` has to do the same without it.
if [ -n "$refused" ]; then
    echo 0 0 0 >$results/refused.counts
    if echo 2 2>/dev/null >/proc/sys/kernel/io_uring_disabled; then
        HALO_GUEST=1 run_specs auto
        for kind in counts log; do cp build/test/auto.$kind $results/refused.$kind; done
    fi
fi
tar -c -C $results . >/dev/vdb
sync
echo o >/proc/sysrq-trigger
sleep 60
