# SPDX-License-Identifier: Apache-2.0
"""Which QEMU runs a guest, and how."""
import os
import pathlib
import shutil
from dataclasses import dataclass, field

from harness.layout import Layout


@dataclass(frozen=True)
class Qemu:
    binary: pathlib.Path
    environment: dict[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()  # such as -L FIRMWARE
    name: str = "qemu"

    def command(self) -> list[str]:
        return [str(self.binary), *self.arguments]

    def settings(self) -> dict[str, str]:
        return dict(os.environ) | self.environment


def distribution(preload: pathlib.Path | None = None) -> Qemu:
    """The installed QEMU; preload: a library that brings it our device."""
    found = shutil.which("qemu-system-x86_64")
    if not found:
        raise FileNotFoundError("there is no qemu-system-x86_64: run scripts/setup")
    if preload and not preload.exists():
        raise FileNotFoundError(f"{preload} is missing: it was not built")
    return Qemu(pathlib.Path(found), {"LD_PRELOAD": str(preload)} if preload else {}, name="distribution's QEMU" + (" with preload" if preload else ""))


def overlay(root: pathlib.Path) -> Qemu:
    """QEMU with our device compiled in, as scripts/build-qemu makes it."""
    binary = root / "build" / "qemu" / "qemu-system-x86_64"
    if not binary.exists():
        raise FileNotFoundError(f"{binary} is missing: run scripts/build-qemu")
    return Qemu(binary, name="overlay QEMU")


def by_name(name: str, root: pathlib.Path, layout: Layout) -> Qemu:
    """overlay, preload (the distribution's, with our library), or plain (the distribution's, without our device)."""
    if name == "overlay":
        return overlay(root)
    return distribution(layout.lib / "libvgpu-qemu.so" if name == "preload" else None)


@dataclass(frozen=True)
class Device:
    """The vgpu-stub of a guest."""

    socket: pathlib.Path
    pool: str = "A"
    priority: str = "medium"
    vm_id: int = 1
    window_mb: int = 256

    def arguments(self) -> list[str]:
        return ["-device", f"vgpu-stub,pool_id={self.pool},priority={self.priority},vm_id={self.vm_id},socket={self.socket},window-size={self.window_mb}M"]
