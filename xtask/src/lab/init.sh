#!/bin/busybox sh
# First process of the lab's host (L1): makes the tree of the machine outside its root and runs the job there.
# Reports on the status port: "ready" before the job starts, then "exit CODE" for a job with a terminal, "exit CODE BYTES"
# for one without, whose output has that length. If this script stops before, the kernel panics, which ends the emulator.
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
output=/dev/vport0p2
if [ -e $job/terminal ]; then output=$tty; fi
until [ -c $status ] && [ -c $output ]; do sleep 0.02; done
exec 3>$status
echo ready >&3
set +e
# A process whose root is not that of its mounts makes no user namespace; passt and virtiofsd want one.
enter='cd /root && mount --move . / && exec chroot . /bin/sh /run/lab-job'
if [ -e $job/terminal ]; then
    setsid -c unshare -m sh -c "$enter" <$tty >$tty 2>&1 3>&-
    result="$?"
else
    # Not the console: that one drops what the outside does not take at once. What is on its way through the port when the
    # job ends is not lost either, because the outside knows how much to wait for.
    mkfifo /output /copied
    tee $output </output >/copied &
    copier=$!
    wc -c </copied >/length &
    counter=$!
    unshare -m sh -c "$enter" </dev/null >/output 2>&1 3>&-
    code=$?
    # What the job left running in the background may hold its output open for ever.
    { sleep 3; kill $copier 2>/dev/null; } &
    wait $counter
    result="$code $(cat /length)"
fi
sync
echo "exit $result" >&3
# The outside switches this computer off.
while :; do sleep 1000; done
