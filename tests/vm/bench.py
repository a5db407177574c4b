# SPDX-License-Identifier: Apache-2.0
"""What the stories have in common: options, image, guests that are counted, and what is said when one fails.

usage of each file of stories: test_X.py BUILD [--qemu overlay|preload|plain] [--keep FOLDER] [unittest's words]
"""
import argparse
import contextlib
import pathlib
import shutil
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "lib"))
from harness.layout import Layout  # noqa: E402
from vm import machine  # noqa: E402
from vm.broker import VmBroker  # noqa: E402
from vm.guest import Guest  # noqa: E402
from vm.image import SHARING, Image, build, modules  # noqa: E402
from vm.vgpu_guest import VgpuGuest  # noqa: E402

# Beside the demo programs; of these only what computes is known to CUDA.
PROGRAMS = ("round_trips", "vgpu-vm-attacker", "vgpu-vm-legacy")
SKIPPED = 77  # as ctest is told
ON_SOFTWARE_GPU = {"LD_LIBRARY_PATH": "/opt/simulated"}

parser = argparse.ArgumentParser()
parser.add_argument("build", type=pathlib.Path)
parser.add_argument("--qemu", choices=("overlay", "preload", "plain"), default="overlay")
parser.add_argument("--keep", type=pathlib.Path, help="folder in which consoles, QEMU's messages and brokers' logs stay")
OPTIONS, WORDS = parser.parse_known_args()
LAYOUT = Layout(OPTIONS.build.resolve())

_image: Image | None = None
_lives: list[Guest] = []
_folders = 0


# ---- machines ---------------------------------------------------------------------------------------------------

def image() -> Image:
    """Made once, and only if a story needs it."""
    global _image
    _image = _image or build(ROOT, LAYOUT, PROGRAMS)
    return _image


def plain_guest(**options) -> Guest:
    """Without our device."""
    return _counted(Guest(image(), _qemu(), keep_in=_folder(), **options))


def vgpu_guest(device: machine.Device, name: str, **options) -> VgpuGuest:
    return _counted(VgpuGuest(image(), _qemu(), device, name=name, keep_in=_folder(), **options))


def old_guest(broker: VmBroker, name: str, kind: str) -> Guest:
    """On a host whose device was never upgraded."""
    return _counted(Guest(image(), machine.old_host(ROOT), machine.OldDevice(broker.socket_of(name), kind), name=name, keep_in=_folder()))


def load_module(guest: Guest, name: str) -> None:
    """Into a sharing_guest()."""
    for each, content in modules(ROOT, SHARING, name):
        guest.put(f"/tmp/{each}.ko", content)
        guest.check(["insmod", f"/tmp/{each}.ko"], user=0)


def sharing_guest(device: machine.Device, name: str, **options) -> VgpuGuest:
    """One that can mount a folder of this machine (`share`)."""
    return _counted(VgpuGuest(build(ROOT, LAYOUT, PROGRAMS, SHARING), _qemu(), device, name=name, keep_in=_folder(), **options))


def vm_broker(*names: str, more: str = "") -> VmBroker:
    return VmBroker(LAYOUT, names, keep_in=_folder(), more=more)


@contextlib.contextmanager
def booted(*guests: Guest):
    """Several at once: each boots while the others do."""
    with contextlib.ExitStack() as stack:
        for guest in guests:
            guest.launch()
            stack.push(guest)
        for guest in guests:
            guest.await_up()
        yield


def _qemu() -> machine.Qemu:
    return machine.by_name(OPTIONS.qemu, ROOT)


def _counted(guest: Guest) -> Guest:
    _lives.append(guest)
    return guest


def _folder() -> pathlib.Path | None:
    """Each machine's files in a folder of their own."""
    if not OPTIONS.keep:
        return None
    global _folders
    _folders += 1
    folder = OPTIONS.keep.resolve() / f"{_folders:02}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


# ---- stories ----------------------------------------------------------------------------------------------------

class VmTest(unittest.TestCase):
    """A story. When it fails, the traceback ends with what the machines said."""

    broker: VmBroker | None = None
    guests: tuple[Guest, ...] = ()

    def check_right(self, result) -> None:
        """Of round_trips: it went through, and all its answers were right."""
        self.assertEqual(result.status, 0, result.stdout[-500:] + result.stderr)
        self.assertIn(" 0 wrong", result.stdout)

    def witnesses(self) -> dict[str, str]:
        said = {f"console of {guest.name}": guest.console_tail() for guest in self.guests}
        said |= {f"QEMU of {guest.name}": guest.messages_tail() for guest in self.guests}
        said |= {f"vgpu-guestd in {guest.name}": guest.guestd.stderr[-3000:] for guest in self.guests if hasattr(guest, "guestd")}
        return said | ({"broker": self.broker.log_tail(40)} if self.broker else {})

    def _callTestMethod(self, method):
        try:
            super()._callTestMethod(method)
        except unittest.SkipTest:
            raise
        except Exception as error:
            for name, text in self.witnesses().items():
                error.add_note(f"---- {name}:\n{text}")
            raise


def print_lives() -> None:
    print(f"\n{'guest':<12} {'QEMU':<24} {'boot s':>7} {'life s':>7} {'CPU s':>7}")
    for guest in _lives:
        print(f"{guest.name:<12} {guest.qemu.name:<24} {guest.boot_seconds:7.1f} {guest.life_seconds:7.1f} {guest.cpu_seconds:7.1f}")
    sizes = ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in image().sizes().items())
    print(f"{len(_lives)} guests, {sum(g.life_seconds for g in _lives):.0f} s; {sizes}")


def main() -> None:
    try:
        _qemu()
    except FileNotFoundError as missing:
        print(f"skipped: {missing}")
        sys.exit(SKIPPED)
    result = unittest.main("__main__", argv=[sys.argv[0], *WORDS], verbosity=2, exit=False).result
    print_lives()
    sys.exit(not result.wasSuccessful())
