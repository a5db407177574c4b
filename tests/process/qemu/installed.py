# SPDX-License-Identifier: Apache-2.0
"""The QEMUs with the device that there are here: ours, and the distribution's with the preloaded device."""
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]
PRELOAD = ROOT / "build/qemu-preload/vgpu-stub-preload.so"
SKIPPED = 77  # ctest's way to say so


def skip(reason: str):
    print(f"skipped: {reason}")
    sys.exit(SKIPPED)


def require_build() -> pathlib.Path:
    found = subprocess.run([ROOT / "scripts/build-qemu", "--print-path"], capture_output=True, text=True)
    if found.returncode != 0:
        skip(found.stderr.strip().removeprefix("build-qemu: "))
    return pathlib.Path(found.stdout.strip())


def require_distribution() -> pathlib.Path:
    found = shutil.which("qemu-system-x86_64", path="/usr/bin:/bin")
    if not found:
        skip("the distribution's QEMU is not installed: run scripts/setup --for vm")
    return pathlib.Path(found)


def require_front(name: str) -> tuple[pathlib.Path, dict[str, str]]:
    """The program and its environment."""
    built = require_build()
    environment = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}
    if name == "built":
        return built, environment
    return require_distribution(), environment | {"LD_PRELOAD": str(PRELOAD)}


def require_accel(name: str) -> None:
    if name == "kvm" and not os.access("/dev/kvm", os.R_OK | os.W_OK):
        skip("no access to /dev/kvm")
