# SPDX-License-Identifier: Apache-2.0
"""QEMU and image as a folder that works elsewhere: where the bundle has them, and how they come there."""
import pathlib
import re
import shutil
import subprocess

from harness.layout import Layout

from .image import SHARING, Image, build
from .machine import Qemu, overlay

# Every system with a glibc has these.
OF_THE_SYSTEM = ("libc.so", "libm.so", "libdl.so", "libpthread.so", "librt.so", "ld-linux")


def find(root: pathlib.Path, layout: Layout, programs: tuple[str, ...]) -> tuple[Qemu, Image]:
    """Of the bundle that root is, else of the source tree; guests of it can mount a share. FileNotFoundError says what is missing."""
    folder = root / "vm"
    if (root / "VERSION").exists() and not folder.exists():
        raise FileNotFoundError("this bundle has no guest in it: scripts/bundle --vm makes one that has")
    if not folder.exists():
        return overlay(root), build(root, layout, programs, SHARING)
    qemu = Qemu(folder / "qemu" / "qemu-system-x86_64", {"LD_LIBRARY_PATH": str(folder / "lib")}, "bundle's")
    return qemu, Image(folder / "kernel", folder / "initrd")


def pack(root: pathlib.Path, layout: Layout, programs: tuple[str, ...], folder: pathlib.Path) -> None:
    """Puts them into the folder, from the source tree."""
    qemu, image = overlay(root), build(root, layout, programs, SHARING)
    (folder / "lib").mkdir(parents=True)
    shutil.copytree(qemu.binary.parent, folder / "qemu")
    shutil.copy(image.kernel, folder / "kernel")
    shutil.copy(image.initrd, folder / "initrd")
    for library in _libraries_of(qemu.binary):
        shutil.copy(library, folder / "lib")


def _libraries_of(program: pathlib.Path) -> list[pathlib.Path]:
    listing = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    found = [pathlib.Path(path) for path in re.findall(r"=> (/\S+) \(0x", listing)]
    return [path for path in found if not path.name.startswith(OF_THE_SYSTEM)]
