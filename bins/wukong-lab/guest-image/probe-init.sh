#!/bin/busybox sh
# The only process of the probe: tells on the console what hardware it sees, and does what the seed's user data says.
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in /modules/*; do
  insmod "$module"
done

# What the kernel says in between must not tear a line.
tell() { printf '\nprobe: %s\n' "$*" > /dev/console; }

# serial DISK: where the kernel shows it is different for each bus.
serial() {
  if [ -e "/sys/block/$1/serial" ]; then
    cat "/sys/block/$1/serial"
  elif [ -e "$2/vpd_pg80" ]; then
    tail -c +5 "$2/vpd_pg80" | tr -d ' \000'
  else
    at=$2
    while [ "$at" != / ] && [ ! -e "$at/serial" ]; do at=$(dirname "$at"); done
    cat "$at/serial"
  fi
}

# disk NAME: its bus, bytes, whether it can be written, and serial.
disk() {
  device=$(readlink -f "/sys/block/$1/device")
  case $device in
    */usb[0-9]*) bus=usb ;;
    */ata[0-9]*) bus=sata ;;
    */virtio*/host*) bus=scsi ;;
    */virtio*) bus=virtio ;;
    *) bus=unknown ;;
  esac
  mode=$(case $(cat "/sys/block/$1/ro") in 1) echo ro ;; *) echo rw ;; esac)
  echo "disk $1 $bus $(($(cat "/sys/block/$1/size") * 512)) $mode $(serial "$1" "$device" 2>/dev/null)"
}

nic() { echo "nic $1 $(cat "/sys/class/net/$1/address")"; }

# The seed is the disk that is small.
for path in /sys/block/vd*; do
  name=${path##*/}
  [ "$(cat "$path/size")" -lt 16384 ] || continue
  text=$(grep -a -m 1 -o 'probe: [a-z-]*' "/dev/$name" 2>/dev/null)
  [ -z "$text" ] || order=${text#probe: }
done

tell "cpus $(nproc)"
tell "memory $(awk '/MemTotal/ { print $2 }' /proc/meminfo) kB"
tell "firmware $([ -d /sys/firmware/efi ] && echo UEFI || echo BIOS)"
for path in /sys/class/net/eth*; do
  tell "$(nic "${path##*/}")"
done
tell "${order:-wait}"
case ${order:-wait} in
  power-off) poweroff -f ;;
  panic)
    echo 1 > /proc/sys/kernel/sysrq
    echo c > /proc/sysrq-trigger
    ;;
esac

# Some busses take a moment until their disks are there.
while :; do
  for path in /sys/block/vd* /sys/block/sd* /sys/block/sr*; do
    name=${path##*/}
    [ -e "$path" ] && [ ! -e "/told-$name" ] || continue
    : > "/told-$name"
    tell "$(disk "$name")"
  done
  sleep 1
done
