# SPDX-License-Identifier: Apache-2.0
# QEMU's source package from this machine's own Debian mirror, with a configuration of apt that is private to the cache:
# the system's sources and lists stay as they are. Sourced by scripts/build-qemu, which sets $cache, step and fail.

# private_apt SUITE...: lists of the source packages of these suites, a line for each of the machine's mirrors.
private_apt() {
  local suite mirror lines key=/usr/share/keyrings/debian-archive-keyring.gpg
  mkdir -p "$cache"/apt/{lists/partial,archives/partial}
  lines=$(scripts/lib/debian-sources bookworm) || fail "no Debian 12 (bookworm) among this machine's apt sources: QEMU's source comes from there"
  mirror=$(awk 'NR == 1 { print $2 }' <<<"$lines")
  for suite in "$@"; do
    if [ "$suite" != bookworm ]; then lines+=$'\n'"deb $mirror $suite main"; fi
  done
  if [ -e $key ]; then sed "s|^deb |deb-src [signed-by=$key] |" <<<"$lines"; else sed 's/^deb /deb-src /' <<<"$lines"; fi >"$cache/apt/sources.list"
  cat >"$cache/apt/apt.conf" <<CONF
Dir::Etc::SourceList "$cache/apt/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::State::Lists "$cache/apt/lists";
Dir::Cache "$cache/apt";
APT::Sandbox::User "root";
CONF
  APT_CONFIG=$cache/apt/apt.conf apt-get -q update >"$cache/apt/log" 2>&1 ||
    { tail -n 5 "$cache/apt/log" >&2; fail "apt-get update failed: is the Debian mirror of this machine's apt sources reachable?"; }
}

# offered_versions PREFIX: versions of the source package qemu that begin so, newest first.
offered_versions() {
  APT_CONFIG=$cache/apt/apt.conf apt-cache showsrc qemu 2>/dev/null | sed -n 's/^Version: //p' | sort -uVr | awk -v p="1:$1" 'index($0, p) == 1'
}

# fetch_source VERSION: its files in $cache/download, from the mirror if they are not there yet. False if it has them not.
fetch_source() {
  local dsc=$cache/download/qemu_${1#*:}.dsc
  mkdir -p "$cache/download"
  if [ -e "$dsc.complete" ]; then return 0; fi
  step "fetching QEMU $1"
  (cd "$cache/download" && APT_CONFIG=$cache/apt/apt.conf apt-get -q source --download-only "qemu=$1" >"$cache/apt/log" 2>&1) || return 1
  touch "$dsc.complete"
}

# unpack_source VERSION FOLDER: with Debian's changes, without which configure misses firmware.
unpack_source() {
  if [ -e "$2/.unpacked" ]; then return 0; fi
  rm -rf "$2"
  mkdir -p "$(dirname "$2")"
  dpkg-source --no-check -x "$cache/download/qemu_${1#*:}.dsc" "$2" >"$cache/unpack.log" 2>&1 ||
    { tail -n 5 "$cache/unpack.log" >&2; fail "the source of QEMU $1 could not be unpacked; remove $cache/download to fetch it again"; }
  touch "$2/.unpacked"
}
