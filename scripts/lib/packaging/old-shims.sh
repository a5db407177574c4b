# The old system's shims would be found before ours, or loaded into every program. They are put aside, not deleted.
aside=/var/lib/vgpu/old-shims
put_aside() {
  mkdir -p "$aside"
  echo "the old system's $1 is now in $aside" >&2
  mv -f "$1" "$aside/$(echo "${1#/}" | tr / _)"
}
put_old_shims_aside() {
  for folder in /usr/lib /usr/lib64 /usr/local/lib /usr/lib/x86_64-linux-gnu /usr/lib/vgpu /opt/vgpu/lib; do
    for library in libvgpu-cuda.so libvgpu-cudart.so libvgpu-nvml.so; do
      for file in "$folder/$library" "$folder/$library".*; do
        if [ -e "$file" ] || [ -L "$file" ]; then put_aside "$file"; fi
      done
    done
  done
  for file in /etc/systemd/system/*.d/*.conf /etc/profile.d/*.sh; do
    if [ -e "$file" ] && grep -q 'LD_PRELOAD=.*libvgpu-' "$file"; then put_aside "$file"; fi
  done
  if [ -e /etc/ld.so.preload ] && grep -q libvgpu- /etc/ld.so.preload; then
    echo "removed the old system's libraries from /etc/ld.so.preload" >&2
    sed -i '/libvgpu-/d' /etc/ld.so.preload
  fi
}
