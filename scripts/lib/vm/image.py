# SPDX-License-Identifier: Apache-2.0
"""What a test guest boots: a Debian kernel and a root file system in memory, with our guest side in it.

Made from Debian packages that are downloaded, not installed, and from a build of ours. Two archives, one behind the
other, which Linux unpacks in turn: the system (changes rarely) and our programs (change with each build). Both are
kept in a cache under the hash of all that went into them.
"""
import hashlib
import pathlib
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field

from harness.layout import Layout

from .cpio import Archive
from .kernel_modules import Modules
from .packages import dependency_of, unpacked

HERE = pathlib.Path(__file__).resolve().parent



@dataclass(frozen=True)
class Kernel:
    """What a Debian meta-package stands for, and the modules that a guest's image takes from it; the rest is built in."""

    meta: str
    suffix: str  # of the packages' names
    modules: tuple[str, ...]


# Made for virtual machines: up in half the time. It has no 9p.
SMALL = Kernel("linux-image-cloud-amd64", "-cloud-amd64", ("virtio_pci", "virtio_console"))
SHARING = Kernel("linux-image-amd64", "-amd64", ("virtio_pci", "virtio_console", "9pnet_virtio", "9p"))

# Where the dynamic linker looks by itself: programs find the shim there unmodified, as with an installed guest package.
LIBRARIES = "usr/lib/x86_64-linux-gnu"
# The software GPU, for programs that shall run without us: LD_LIBRARY_PATH=/opt/simulated
SIMULATED = "opt/simulated"
USER = 1000

GUEST_SIDE = ("vgpu-guestd", "vgpu-guest")
PROGRAMS = ("demo", "demo_driver", "fire_client", "vgpu-conformance")
DELEGATE = "vgpu-vm-delegate"
# The unwinder, which glibc loads by name when a thread is cancelled.
LOADED_BY_NAME = ("libgcc_s.so.1",)


@dataclass(frozen=True)
class Image:
    kernel: pathlib.Path
    initrd: pathlib.Path

    def sizes(self) -> dict[str, int]:
        return {"kernel": self.kernel.stat().st_size, "initrd": self.initrd.stat().st_size}


@dataclass
class Contents:
    """What goes into an archive: place in the guest -> file here. Hashed by content, so it names a cache entry."""

    files: dict[str, pathlib.Path] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)

    def key(self) -> str:
        total = hashlib.sha256()
        for place, path in sorted(self.files.items()):
            total.update(f"{place} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
        total.update(repr((sorted(self.texts.items()), sorted(self.links.items()))).encode())
        return total.hexdigest()[:16]


def build(root: pathlib.Path, layout: Layout, extra_programs: tuple[str, ...] = (), kernel: Kernel = SMALL) -> Image:
    """root: of the source tree, whose build folder holds the cache."""
    cache = root / "build" / "vm"
    packages = cache / "packages"
    kernel_package = unpacked(_package_of(kernel, packages), packages)
    busybox = unpacked("busybox-static", packages) / "bin" / "busybox"
    binary = next(kernel_package.glob("boot/vmlinuz-*"))
    release = binary.name.removeprefix("vmlinuz-")
    system = _cached(cache, "system", _system(busybox, kernel_package / "lib" / "modules" / release, kernel.modules))
    programs = _cached(cache, "programs", _programs(layout, extra_programs))
    joined = cache / f"initrd-{system.stem[-8:]}-{programs.stem[-8:]}"
    if not joined.exists():
        _write_whole(joined, system.read_bytes() + programs.read_bytes())
        _forget_old(cache, "initrd-*", keep=3)
    return Image(binary, joined)


def modules(root: pathlib.Path, kernel: Kernel, name: str) -> list[tuple[str, bytes]]:
    """A module that the kernel's image does not hold, after those that it needs: names and contents, for a guest to load."""
    cache = root / "build" / "vm" / "packages"
    [folder] = (unpacked(_package_of(kernel, cache), cache) / "lib" / "modules").iterdir()
    return Modules(folder).with_needed([name])


def _package_of(kernel: Kernel, packages: pathlib.Path) -> str:
    """One that was downloaded before is good enough: no question to apt."""
    versioned = re.compile(r"linux-image-[\d.]+-\d+" + kernel.suffix)
    known = sorted(p.name for p in packages.glob("linux-image-*") if versioned.fullmatch(p.name))
    return known[-1] if known else dependency_of(kernel.meta, "linux-image-")


# ---- the system -----------------------------------------------------------------------------------------------------

def _system(busybox: pathlib.Path, module_folder: pathlib.Path, modules: tuple[str, ...]) -> Contents:
    contents = Contents()
    contents.files["bin/busybox"] = busybox
    applets = subprocess.run([busybox, "--list-full"], capture_output=True, text=True, check=True).stdout.split()
    for applet in applets:
        contents.links.setdefault(applet, "/bin/busybox")
    contents.links.pop("bin/busybox", None)
    contents.texts["init"] = (HERE / "init.sh").read_text()
    contents.texts["etc/passwd"] = f"root:x:0:0:root:/root:/bin/sh\nuser:x:{USER}:{USER}:user:/tmp:/bin/sh\n"
    contents.texts["etc/group"] = f"root:x:0:\nuser:x:{USER}:\n"
    unpacked_modules = module_folder.parents[2] / "chosen-modules"
    unpacked_modules.mkdir(exist_ok=True)
    order = []
    for name, content in Modules(module_folder).with_needed(list(modules)):
        path = unpacked_modules / f"{name}.ko"
        path.write_bytes(content)
        contents.files[f"lib/modules/{name}.ko"] = path
        order.append(name)
    contents.texts["lib/modules/order"] = "\n".join(order) + "\n"
    return contents


# ---- our programs ---------------------------------------------------------------------------------------------------

def _programs(layout: Layout, extra: tuple[str, ...]) -> Contents:
    delegate = layout.program(DELEGATE)
    if not delegate.exists():
        raise FileNotFoundError(f"{delegate} is missing: it was not built")
    contents = Contents()
    for name in (*GUEST_SIDE, *PROGRAMS, DELEGATE, *extra):
        if layout.has(name):
            contents.files[f"usr/bin/{name}"] = layout.program(name)
    for library in layout.shim_folder.glob("lib*.so.1"):
        contents.files[f"{LIBRARIES}/{library.name}"] = library
    contents.files[f"{SIMULATED}/libcuda.so.1"] = layout.lib / "libvgpu-simcuda.so.1"
    contents.files |= _libraries_of([path for path in contents.files.values()])
    return contents


def _libraries_of(programs: list[pathlib.Path]) -> dict[str, pathlib.Path]:
    """The dynamic linker, and every library that these need here, at the same places in the guest."""
    found: dict[str, pathlib.Path] = {}
    for program in programs:
        listing = subprocess.run(["ldd", program], capture_output=True, text=True).stdout
        for path in re.findall(r"(?:=> |^\s*)(/\S+) \(0x", listing, re.M):
            found[_guest_place(path)] = pathlib.Path(path).resolve()
    libc = next((p for place, p in found.items() if place.endswith("/libc.so.6")), None)
    for name in LOADED_BY_NAME:
        if libc and (libc.parent / name).exists():
            found[f"{LIBRARIES}/{name}"] = (libc.parent / name).resolve()
    return found


def _guest_place(path: str) -> str:
    """Debian's /lib is a link to /usr/lib; in the guest only the linker's own path and one folder exist."""
    return path.lstrip("/") if "/ld-linux" in path else f"{LIBRARIES}/{pathlib.PurePath(path).name}"


# ---- archives and their cache ---------------------------------------------------------------------------------------

def _cached(cache: pathlib.Path, name: str, contents: Contents) -> pathlib.Path:
    path = cache / f"{name}-{contents.key()}.cpio"
    if not path.exists():
        _write_whole(path, _compressed(_archive(contents)))
        _forget_old(cache, f"{name}-*.cpio", keep=3)
    return path


def _archive(contents: Contents) -> bytes:
    archive = Archive()
    for folder in ("dev", "proc", "sys", "run", "tmp", "root", "etc", "mnt"):
        archive.folder(folder)
    archive.device("dev/console", 5, 1)
    with tempfile.TemporaryDirectory(prefix="vgpu-image-") as folder:
        for place, path in sorted(contents.files.items()):
            executable = place.startswith(("usr/bin/", "bin/")) or ".so" in place
            archive.file(place, _stripped(path, pathlib.Path(folder)), 0o755 if executable else 0o644)
    for place, text in sorted(contents.texts.items()):
        archive.file(place, text.encode(), 0o755 if place == "init" else 0o644)
    for place, target in sorted(contents.links.items()):
        archive.link(place, target)
    return archive.content()


def _stripped(path: pathlib.Path, folder: pathlib.Path) -> bytes:
    content = path.read_bytes()
    if not content.startswith(b"\x7fELF") or path.suffix == ".ko":
        return content
    target = folder / "stripped"
    subprocess.run(["strip", "--strip-unneeded", "-o", target, path], check=True, capture_output=True)
    return target.read_bytes()


def _compressed(content: bytes) -> bytes:
    return subprocess.run(["zstd", "-q", "-10", "-c"], input=content, capture_output=True, check=True).stdout


def _write_whole(path: pathlib.Path, content: bytes) -> None:
    """Two builds at once may write the same; none may see half of it."""
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(content)
    shutil.move(file.name, path)


def _forget_old(cache: pathlib.Path, pattern: str, keep: int) -> None:
    newest_first = sorted(cache.glob(pattern), key=lambda p: p.stat().st_mtime, reverse=True)
    for path in newest_first[keep:]:
        path.unlink(missing_ok=True)
