# How a package treats its service. Nothing here may fail the package: a service that does not start is said, and is the
# administrator's to look at.

systemd_runs() { [ -d /run/systemd/system ]; }
init_script=/etc/init.d/$service

# by_init ACTION: through Debian's policy layer, where there is one. Elsewhere nothing is started in an image being built.
by_init() {
  [ -x "$init_script" ] || return 0
  if command -v invoke-rc.d >/dev/null; then invoke-rc.d "$service" "$1"
  elif [ / -ef /proc/1/root/. ]; then "$init_script" "$1"; fi
}

# True once from installation to removal: an upgrade is none, and leaves stopped and disabled what was. (dpkg tells
# the version even of a package that was removed, as long as its configuration is there.)
marker=/var/lib/vgpu/$service.installed
is_first_time() {
  [ ! -e "$marker" ] || return 1
  mkdir -p "${marker%/*}"
  touch "$marker"
}
forget_installation() {
  rm -f "$marker"
  rmdir "${marker%/*}" 2>/dev/null || true
}

enable_service() {
  if command -v systemctl >/dev/null; then systemctl enable "$service.service" >/dev/null 2>&1 || true; fi
  [ -x "$init_script" ] || return 0
  if command -v update-rc.d >/dev/null; then update-rc.d "$service" defaults >/dev/null || true
  elif command -v chkconfig >/dev/null; then chkconfig --add "$service" || true; fi
}

disable_service() {
  if command -v systemctl >/dev/null; then systemctl disable "$service.service" "$service.socket" >/dev/null 2>&1 || true; fi
  if [ -x "$init_script" ] && command -v chkconfig >/dev/null; then chkconfig --del "$service" || true; fi
}

reload_units() { if systemd_runs; then systemctl daemon-reload || true; fi; }

start_service() {
  reload_units
  if systemd_runs; then systemctl start "$service.service"; else by_init start; fi ||
    echo "$service was not started; see above. Configure it, then start it." >&2
}

# Clients and guests go on meanwhile.
restart_service() {
  reload_units
  if systemd_runs; then systemctl try-restart "$service.service"
  elif [ -x "$init_script" ] && "$init_script" status >/dev/null 2>&1; then by_init restart; fi ||
    echo "$service was not restarted; see above." >&2
}

stop_service() {
  # With its socket, if that is used: or the next program would start it again.
  if systemd_runs; then systemctl stop "$service.socket" 2>/dev/null || true; systemctl stop "$service.service"; else by_init stop; fi || true
}
