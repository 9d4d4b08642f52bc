#!/usr/bin/env bash
# Builds the guests' disk images from Debian packages: build.sh DIRECTORY. Needs root (mmdebstrap), no loop device, no mount.
#
#   debian-12.qcow2  Debian as on a cloud: cloud-init (NoCloud), OpenSSH, guest agent; boots from BIOS and from UEFI
#   probe.qcow2      a kernel with one program that tells what hardware it sees and does what the user data of its seed says,
#                    seconds after its start
#
# Lines that begin with "== " tell what goes on.
set -euo pipefail
out=$(realpath "$1")
here=$(realpath "$(dirname "$0")")
# A mirror's address, else what a machine with the same Debian uses itself, else mmdebstrap's default.
sources=()
if [ -n "${WUKONG_LAB_DEBIAN_MIRROR:-}" ]; then
  sources=("deb $WUKONG_LAB_DEBIAN_MIRROR bookworm main")
elif grep -qs '^Suites: bookworm' /etc/apt/sources.list.d/debian.sources; then
  sources=(/etc/apt/sources.list.d/debian.sources)
fi
work=$(mktemp -d "$out/.work-XXXXXX")
trap 'rm -rf "$work"' EXIT
root=$work/root
export SOURCE=$here

packages=(
  linux-image-cloud-amd64 systemd-sysv systemd-resolved dbus udev cloud-init openssh-server netplan.io iproute2
  iputils-ping qemu-guest-agent e2fsprogs cloud-guest-utils fdisk sudo initramfs-tools zstd usr-is-merged
)

echo "== unpacking Debian packages from ${sources[0]:-the default mirror}"
hooks=/usr/share/mmdebstrap/hooks/merged-usr
# usr-is-merged with its hooks avoids usrmerge and, with that, all of perl.
mmdebstrap --quiet --mode=root --variant=minbase --hook-dir="$hooks" \
  --include="$(IFS=,; echo "${packages[*]}")" \
  --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/info/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/i18n/*' \
  --dpkgopt='path-exclude=/usr/share/doc/*' \
  --essential-hook='mkdir -p "$1/etc/initramfs-tools/conf.d" && cp "$SOURCE/initramfs.conf" "$1/etc/initramfs-tools/conf.d/lab" && printf "virtio_pci\nvirtio_blk\n" > "$1/etc/initramfs-tools/modules"' \
  --customize-hook='mkdir "$1/loaders" && cd "$1/loaders" && kernel=$(basename "$1"/lib/modules/*) && APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get -qq download grub-pc-bin grub-efi-amd64-signed shim-signed busybox-static "linux-image-${kernel%-cloud-amd64}-amd64"' \
  --customize-hook='sh "$SOURCE/customize.sh" "$1"' \
  bookworm "$root" "${sources[@]}"

mkdir "$work/loaders" "$root/full"
for package in "$root"/loaders/*.deb; do
  case $package in
    # The probe's kernel knows more hardware than the one for clouds. Its modules' dependencies are asked for inside.
    */linux-image-*) dpkg-deb --extract "$package" "$root/full" ;;
    *) dpkg-deb --extract "$package" "$work/loaders" ;;
  esac
done
rm -r "$root/loaders"
grub=$work/loaders/usr/lib/grub/i386-pc

# disk IMAGE ROOT: a partitioned disk that boots ROOT, from the master boot record and from an EFI system partition.
disk() {
  local image=$1 tree=$2 esp=$work/esp.img
  local megabytes=$(( $(du -sm "$tree" | cut -f1) * 5 / 4 + 24 ))
  rm -f "$work/disk" "$esp"
  truncate -s "$((9 + megabytes))M" "$work/disk"
  printf 'start=2048, size=16384, type=ef\nstart=18432, type=83, bootable\n' | sfdisk --quiet "$work/disk"
  # 18432 sectors are 9 MiB.
  mke2fs -q -t ext4 -L rootfs -d "$tree" -E offset=9437184 "$work/disk" "${megabytes}M"

  grub-mkimage -O i386-pc -d "$grub" -c "$here/grub-bios.cfg" -p '(hd0,msdos2)/boot/grub' -o "$work/core.img" \
    biosdisk part_msdos ext2 normal linux serial terminal configfile echo test minicmd search search_label
  dd if="$grub/boot.img" of="$work/disk" bs=440 count=1 conv=notrunc status=none
  dd if="$work/core.img" of="$work/disk" bs=512 seek=1 conv=notrunc status=none

  truncate -s 8M "$esp"
  mformat -i "$esp" -v ESP ::
  mmd -i "$esp" ::/EFI ::/EFI/BOOT ::/EFI/debian
  mcopy -i "$esp" "$work/loaders/usr/lib/shim/shimx64.efi.signed" ::/EFI/BOOT/BOOTX64.EFI
  mcopy -i "$esp" "$work/loaders/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed" ::/EFI/BOOT/grubx64.efi
  mcopy -i "$esp" "$here/grub-efi.cfg" ::/EFI/debian/grub.cfg
  dd if="$esp" of="$work/disk" bs=1M seek=1 conv=notrunc status=none
  qemu-img convert -O qcow2 "$work/disk" "$image.part"
  mv "$image.part" "$image"
}

echo "== making the probe's disk"
probe=$work/probe
initrd=$work/initrd
mkdir -p "$probe/boot/grub" "$initrd"/{bin,dev,proc,sys,modules}
cp "$work/loaders/bin/busybox" "$initrd/bin/busybox" 2>/dev/null || cp "$work/loaders/usr/bin/busybox" "$initrd/bin/busybox"
kernel=$(basename "$root"/full/lib/modules/*)
chroot "$root" depmod -b /full "$kernel"
for module in virtio_pci virtio_blk virtio_net virtio_scsi ahci xhci_pci usb_storage sd_mod sr_mod; do
  chroot "$root" modprobe -d /full --set-version "$kernel" --show-depends "$module"
done > "$work/modules"
awk '$1 == "insmod" && !seen[$2]++ { print $2 }' "$work/modules" > "$work/order"
count=10
while read -r module; do
  cp "$root$module" "$initrd/modules/$count-$(basename "$module")"
  count=$((count + 1))
done < "$work/order"
install -m 755 "$here/probe-init.sh" "$initrd/init"
(cd "$initrd" && find . | cpio --quiet -o -H newc | gzip -1) > "$probe/initrd.img"
cp "$root/full/boot/vmlinuz-$kernel" "$probe/vmlinuz"
rm -r "$root/full"
cp "$here/grub.cfg" "$probe/boot/grub/grub.cfg"
disk "$out/probe.qcow2" "$probe"

echo "== making Debian's disk"
mkdir -p "$root/boot/grub"
cp "$here/grub.cfg" "$root/boot/grub/grub.cfg"
disk "$out/debian-12.qcow2" "$root"
