# SPDX-License-Identifier: Apache-2.0
"""What the stories have in common: options, image, guests that are counted, and what is said when one fails.

usage of each file of stories: test_X.py BUILD [--qemu overlay|preload|plain] [--keep FOLDER] [unittest's words]
"""
import argparse
import pathlib
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "lib"))
from harness.layout import Layout  # noqa: E402
from vm import machine  # noqa: E402
from vm.guest import Guest  # noqa: E402
from vm.image import Image, build  # noqa: E402

# Beside the demo programs; of these only what computes is known to CUDA.
PROGRAMS = ("round_trips", "vgpu-vm-attacker")
ON_SOFTWARE_GPU = {"LD_LIBRARY_PATH": "/opt/simulated"}

parser = argparse.ArgumentParser()
parser.add_argument("build", type=pathlib.Path)
parser.add_argument("--qemu", choices=("overlay", "preload", "plain"), default="overlay")
parser.add_argument("--keep", type=pathlib.Path, help="folder in which consoles and QEMU's messages stay")
OPTIONS, WORDS = parser.parse_known_args()
LAYOUT = Layout(OPTIONS.build.resolve())

_image: Image | None = None
_lives: list["CountedGuest"] = []


def image() -> Image:
    """Made once, and only if a story needs it."""
    global _image
    _image = _image or build(ROOT, LAYOUT, PROGRAMS)
    return _image


def qemu() -> machine.Qemu:
    return machine.by_name(OPTIONS.qemu, ROOT, LAYOUT)


class CountedGuest(Guest):
    def __init__(self, device: machine.Device | None = None, **options):
        options.setdefault("name", f"guest-{len(_lives) + 1}")
        super().__init__(image(), qemu(), device, keep_in=OPTIONS.keep, **options)
        _lives.append(self)


class VmTest(unittest.TestCase):
    """A story. When it fails, the traceback ends with what the machines said: see witnesses()."""

    def witnesses(self) -> dict[str, str]:
        return {}

    def _callTestMethod(self, method):
        try:
            super()._callTestMethod(method)
        except Exception as error:
            for name, text in self.witnesses().items():
                error.add_note(f"---- {name}:\n{text}")
            raise


def print_lives() -> None:
    print(f"\n{'guest':<12} {'QEMU':<28} {'boot s':>7} {'life s':>7} {'CPU s':>7}")
    for guest in _lives:
        print(f"{guest.name:<12} {guest.qemu.name:<28} {guest.boot_seconds:7.1f} {guest.life_seconds:7.1f} {guest.cpu_seconds:7.1f}")
    sizes = ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in image().sizes().items())
    print(f"{len(_lives)} guests, {sum(g.life_seconds for g in _lives):.0f} s; {sizes}")


def main() -> None:
    if OPTIONS.keep:
        OPTIONS.keep.mkdir(parents=True, exist_ok=True)
    result = unittest.main("__main__", argv=[sys.argv[0], *WORDS], verbosity=2, exit=False).result
    print_lives()
    sys.exit(not result.wasSuccessful())
