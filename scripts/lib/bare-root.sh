# SPDX-License-Identifier: Apache-2.0
# Fresh Debian 12 roots below build/bare-root/, made by debootstrap once and kept as archives. Sourced by the scripts
# that try something in one. All mounts are made in a mount namespace of their own, which ends with the run.

suite=bookworm
store=$PWD/build/bare-root

# in_namespaces COMMAND...: runs it as the first process of mount and process namespaces of its own, with the name of an
# empty folder for the root in VGPU_BARE_ROOT_INSIDE. Whatever is mounted or started there ends with it.
in_namespaces() {
  [ "$(id -u)" = 0 ] || fail "a chroot needs root: run it with sudo"
  command -v debootstrap >/dev/null || fail "debootstrap is missing: run scripts/setup"
  mkdir -p "$store"
  local stale
  for stale in "$store"/root.*; do
    if [ -d "$stale" ] && [ ! -d "/proc/${stale##*.}" ]; then rm -rf --one-file-system "$stale"; fi
  done
  root=$store/root.$$
  trap 'rm -rf --one-file-system "$root"' EXIT
  mkdir "$root"
  VGPU_BARE_ROOT_INSIDE=$root unshare --mount --pid --fork --kill-child --propagation private -- "$@"
}

# make_root ROOT NAME MIRROR [debootstrap argument...]: unpacks the archive NAME into ROOT, or makes it first. MIRROR may
# be empty: then it is the one in this machine's own apt sources.
make_root() {
  local root=$1 base=$store/$2.tar mirror=$3
  shift 3
  if [ -e "$base" ]; then
    step "unpacking the root kept from an earlier run"
    tar -C "$root" --numeric-owner -xpf "$base"
    return
  fi
  [ -n "$mirror" ] || mirror=$(scripts/lib/debian-sources $suite | awk 'NR == 1 { print $2 }') && [ -n "$mirror" ] ||
    fail "this machine's apt sources name no Debian 12 mirror: give one with --mirror"
  step "debootstrap"
  debootstrap --variant=minbase "$@" $suite "$root" "$mirror" >"$store/debootstrap.log" 2>&1 ||
    { tail -n 20 "$store/debootstrap.log" "$root/debootstrap/debootstrap.log" >&2; fail "debootstrap failed; its last lines are above"; }
  rm -rf "$root"/var/cache/apt/archives/*.deb
  tar -C "$root" --numeric-owner --one-file-system -cf "$base.new" .
  mv "$base.new" "$base"
}

# mount_in ROOT: what programs expect to find there.
mount_in() {
  mount -t proc proc "$1/proc"
  mount -t tmpfs -o mode=1777 tmpfs "$1/dev/shm"
  mount -t tmpfs -o mode=1777 tmpfs "$1/tmp"
}
