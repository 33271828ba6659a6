#!/busybox sh
# The first program of a guest: finds the disk, unpacks halo there, and goes on with guest.sh.
/busybox mount -t proc none /proc
/busybox mount -t devtmpfs none /dev
for module in /modules/*; do
    /busybox insmod "$module" 2>/dev/null
done
tries=0
until /busybox mount -t ext4 /dev/vda /root 2>/dev/null; do
    tries=$((tries + 1))
    [ $tries -lt 100 ] || { echo "no disk" && /busybox poweroff -f; }
    /busybox sleep 0.1
done
/busybox tar -x -f /dev/vdc -C /root/halo
/busybox umount /proc
/busybox mount --move /dev /root/dev
exec /busybox switch_root /root /bin/sh /halo/spec/machines/guest.sh
