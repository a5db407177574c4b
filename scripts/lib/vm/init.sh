#!/bin/sh
# The first process of a test guest: mounts what programs expect, loads the modules of the image, and becomes the delegate.
export PATH=/usr/bin:/usr/sbin:/bin:/sbin HOME=/root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/shm /dev/pts
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=1777 tmpfs /tmp
mkdir -p /run/vgpu  # as the unit of vgpu-guestd does
hostname guest
ip link set lo up 2>/dev/null

while read -r module; do
  insmod "/lib/modules/$module.ko" || echo "init: $module could not be loaded"
done </lib/modules/order

tries=0
until port=$(grep -lx vgpu.delegate /sys/class/virtio-ports/*/name 2>/dev/null); do
  tries=$((tries + 1))
  [ $tries -lt 100 ] || { echo "init: no serial port named vgpu.delegate"; exec sh; }
  sleep 0.1
done
port=${port%/name}
exec vgpu-vm-delegate "/dev/${port##*/}"
