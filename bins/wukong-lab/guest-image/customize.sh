#!/bin/sh
# Turns the unpacked packages in $1 into what a cloud would offer, minus what takes long where every instruction is emulated.
set -eu
root=$1
etc=$root/etc

: > "$etc/machine-id"
rm -f "$etc/hostname" "$etc"/ssh/ssh_host_*
echo 'LABEL=rootfs / ext4 defaults 0 1' > "$etc/fstab"
ln -sf ../run/systemd/resolve/stub-resolv.conf "$etc/resolv.conf"
echo 'LANG=C.UTF-8' > "$etc/default/locale"

cp "$SOURCE/cloud.cfg" "$etc/cloud/cloud.cfg.d/99_lab.cfg"

for unit in e2scrub_reap.service e2scrub_all.timer apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
  fstrim.timer proc-sys-fs-binfmt_misc.automount systemd-networkd-wait-online.service cloud-init-hotplugd.socket; do
  chroot "$root" systemctl --quiet mask "$unit"
done
chroot "$root" systemctl --quiet enable systemd-networkd systemd-resolved serial-getty@ttyS0.service

printf 'blacklist %s\n' kvm kvm_intel kvm_amd iTCO_wdt i2c_i801 lpc_ich psmouse pcspkr > "$etc/modprobe.d/lab.conf"
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/*
