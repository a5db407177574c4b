# SPDX-License-Identifier: Apache-2.0
"""Programs of this machine in a guest: it shares this machine's root, read-only, and a program is run with that root."""
import shlex

from .delegate import GuestProcess, Result
from .image import LIBRARIES
from .vgpu_guest import VgpuGuest

ROOT = "/mnt"
SHIM = "/tmp/shim"
# One request carries as much as virtio takes; cached files may be mapped.
OPTIONS = "trans=virtio,version=9p2000.L,cache=loose,msize=512000,ro"
# The guest's own, in place of this machine's.
OF_THE_GUEST = ("proc", "sys", "dev", "tmp", "run")

MOUNT = f"""
set -e
mount -t 9p -o {OPTIONS} share {ROOT}
for folder in {" ".join(OF_THE_GUEST)}; do mount --rbind /$folder {ROOT}/$folder; done
mkdir -p {SHIM}
cp /{LIBRARIES}/libcuda.so.1 /{LIBRARIES}/libnvidia-ml.so.1 {SHIM}/ 2>/dev/null || cp /{LIBRARIES}/libcuda.so.1 {SHIM}/
"""


class SharedRoot:
    """The guest must have been made with share="/" and be up."""

    def __init__(self, guest: VgpuGuest):
        self._guest = guest
        guest.check(["sh", "-c", MOUNT], user=0)

    def start(self, words: list, settings: dict[str, str] | None = None) -> GuestProcess:
        """As root of the guest, who may read what root may read here. Its libcuda.so.1 is the shim; /tmp is the guest's."""
        environment = {"HOME": "/tmp", "PATH": "/usr/local/bin:/usr/bin:/bin", "LD_LIBRARY_PATH": SHIM} | (settings or {})
        names = [f"{name}={value}" for name, value in environment.items()]
        command = shlex.join(["env", "-i", *names, *map(str, words)])
        return self._guest.start(["chroot", ROOT, "/bin/sh", "-c", f"cd /tmp && exec {command}"], user=0)

    def run(self, words: list, timeout: float, settings: dict[str, str] | None = None) -> Result:
        """Killed if it takes too long, which raises."""
        process = self.start(words, settings)
        process.close_input()
        try:
            return process.wait(timeout)
        except Exception:
            if self._guest.is_running:
                process.kill()
            raise
