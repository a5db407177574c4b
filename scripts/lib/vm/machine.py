# SPDX-License-Identifier: Apache-2.0
"""Which QEMU runs a guest, and the device that it gives the guest."""
import os
import pathlib
import shutil
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Qemu:
    binary: pathlib.Path
    environment: dict[str, str] = field(default_factory=dict)
    name: str = "qemu"

    def settings(self) -> dict[str, str]:
        return dict(os.environ) | self.environment


def distribution(preload: pathlib.Path | None = None) -> Qemu:
    """The installed QEMU; preload: a library that brings it our device."""
    found = shutil.which("qemu-system-x86_64")
    if not found:
        raise FileNotFoundError("there is no qemu-system-x86_64: run scripts/setup --for vm")
    if not preload:
        return Qemu(pathlib.Path(found), name="distribution's")
    if not preload.exists():
        raise FileNotFoundError(f"{preload} is missing: run scripts/build-qemu")
    return Qemu(pathlib.Path(found), {"LD_PRELOAD": str(preload)}, "distribution's, preload")


def overlay(root: pathlib.Path) -> Qemu:
    """QEMU with our device compiled in, as scripts/build-qemu makes it."""
    binary = root / "build" / "qemu" / "qemu-system-x86_64"
    if not binary.exists():
        raise FileNotFoundError(f"{binary} is missing: run scripts/build-qemu")
    return Qemu(binary, name="overlay")


def by_name(name: str, root: pathlib.Path) -> Qemu:
    """overlay, preload (the distribution's, with our library), or plain (the distribution's, without our device)."""
    if name == "overlay":
        return overlay(root)
    return distribution(root / "build" / "qemu-preload" / "vgpu-stub-preload.so" if name == "preload" else None)


def old_host(root: pathlib.Path) -> Qemu:
    """The distribution's QEMU with the stub of a host that was never upgraded: takes OldDevice."""
    return distribution(root / "build" / "qemu-old-stub" / "vgpu-stub-preload.so")


@dataclass(frozen=True)
class Device:
    """The vgpu-stub of a guest."""

    socket: pathlib.Path
    vm_id: int = 1
    pool: str = "A"
    priority: str = "medium"
    window_mb: int = 256
    traces: bool = False

    def arguments(self) -> list[str]:
        return ["-device", f"vgpu-stub,pool_id={self.pool},priority={self.priority},vm_id={self.vm_id},socket={self.socket},window-size={self.window_mb}M"
                + (",trace=on" if self.traces else "")]


@dataclass(frozen=True)
class OldDevice:
    """The same of an old host; kind: see tests/vm/old_stub/old-stub.c."""

    socket: pathlib.Path
    kind: str

    def arguments(self) -> list[str]:
        return ["-device", f"vgpu-stub,pool_id=A,priority=medium,vm_id=1,socket={self.socket},x-kind={self.kind}"]
