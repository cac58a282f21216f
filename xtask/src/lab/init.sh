#!/bin/busybox sh
# First process of the lab's host (L1): makes the tree of the machine outside its root and runs the job there.
# Reports on the port "status": "ready" before the job starts, "exit N" after it ended. If it stops before, the kernel
# panics, which ends the emulator.
set -e
/bin/busybox --install -s /bin
export PATH=/bin

fail() {
    echo "<3>lab: $1" >/dev/kmsg
    poweroff -f
}

mkdir -p /proc /sys /dev /host /layer /root
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
while read -r module; do
    insmod "/modules/$module.ko" || fail "module $module does not load"
done </modules/order

# The tree outside is never written: what is written goes to a layer in memory.
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=loose,ro host /host || fail "no root over 9p"
mount -t tmpfs -o size=80% layer /layer
mkdir /layer/upper /layer/work
mount -t overlay -o lowerdir=/host,upperdir=/layer/upper,workdir=/layer/work root /root || fail "no overlay"
for folder in proc sys dev; do
    mount --move /$folder /root/$folder
    rm -r /$folder
    ln -s root/$folder /$folder
done
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t tmpfs run /root/run
ip link set lo up

# The job: a shell script, and whether a terminal goes with it.
job=/sys/firmware/qemu_fw_cfg/by_name/opt/org.tinderbox
cat $job/script/raw >/root/run/lab-job
tty=/dev/hvc0
status=/dev/vport0p1
until [ -c $tty ] && [ -c $status ]; do sleep 0.02; done
exec 3>$status
echo ready >&3
set +e
if [ -e $job/terminal ]; then
    setsid -c chroot /root /bin/sh /run/lab-job <$tty >$tty 2>&1
    code=$?
else
    # Through a pipe, so that programs see that nobody sits there, and bytes arrive as they were written.
    stty -F $tty raw -echo
    mkfifo /output
    cat /output >$tty &
    copier=$!
    chroot /root /bin/sh /run/lab-job </dev/null >/output 2>&1
    code=$?
    # What the job left running in the background may hold the pipe open for ever.
    { sleep 3; kill $copier 2>/dev/null; } &
    wait $copier
fi
sync
echo "exit $code" >&3
poweroff -f
