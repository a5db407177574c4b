# SPDX-License-Identifier: Apache-2.0
"""A broker with doors of its own, and those who come through them: clients that compute, stubs, and worse."""
import contextlib
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "scripts" / "lib"))
from harness.layout import Layout, native_environment  # noqa: E402
from harness.private_broker import PrivateBroker, SteadyClient  # noqa: E402
from harness.processes import cpu_seconds_of, wait_until  # noqa: E402

SECONDS = 30
RIGHT = "demo: all results are right"
NEEDS_ROOT = None if os.geteuid() == 0 else "it is not run by root, who alone can be several users"

# common/abi/stub_link.h
LINK_MAGIC, STUB_HELLO = 0x43504756, 16
HELLO = struct.Struct("<IHHIHH HBBIQQII16s")
LINK = struct.Struct("<IHHIHH IHHQQII16sII64s240s")
# What revision 2 says: magic, type, vm_id, request_id, pool, priority, padding, length of the payload.
LEGACY = struct.Struct("<IIIIcBHI")
LEGACY_MAGIC = 0x56475055


class Broker(PrivateBroker):
    """With settings; its folder is open to all users, who must reach its sockets."""

    def __init__(self, layout: Layout, settings: str = "", driver: str = "sim"):
        super().__init__(layout, driver)
        self.folder.chmod(0o755)
        self.settings = settings.replace("FOLDER", str(self.folder))

    def says(self, text: str) -> bool:
        return wait_until(lambda: text in self.log.read_text(errors="replace"), SECONDS)

    def count(self, text: str) -> int:
        return self.log.read_text(errors="replace").count(text)

    def relaunch(self) -> None:
        seen = self.count("listening on ")
        os.kill(self.pid, 12)  # SIGUSR2
        if not wait_until(lambda: self.count("listening on ") > seen, SECONDS):
            raise AssertionError("not relaunched:\n" + self.log_tail())

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def vm_of(self, worker: int) -> str:
        words = pathlib.Path(f"/proc/{worker}/cmdline").read_text().split("\0")
        return words[words.index("--vm") + 1]


class Programs:
    """Copies of client and shim where every user can read them."""

    def __init__(self, layout: Layout):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="vgpu-"))
        self.folder.chmod(0o755)
        shutil.copy(layout.program("demo_driver"), self.folder)
        shutil.copy(layout.shim_folder / "libcuda.so.1", self.folder)

    def __enter__(self) -> "Programs":
        return self

    def __exit__(self, *_) -> None:
        shutil.rmtree(self.folder)

    def environment(self, door) -> dict[str, str]:
        return native_environment() | {"VGPU_SOCKET": str(door), "LD_LIBRARY_PATH": str(self.folder)}

    def compute(self, door, uid: int | None = None) -> str:
        """The last line of a client that came through the door as that user; its complaint if it failed."""
        who = {"user": uid, "group": uid, "extra_groups": []} if uid is not None else {}
        done = subprocess.run([self.folder / "demo_driver"], env=self.environment(door), cwd="/", capture_output=True, text=True, timeout=SECONDS, **who)
        return (done.stdout.splitlines() or [""])[-1] if done.returncode == 0 else done.stderr

    def steady(self, door) -> SteadyClient:
        return SteadyClient(self.folder / "demo_driver", self.environment(door), SECONDS)


@contextlib.contextmanager
def as_user(uid: int | None):
    """Whoever connects meanwhile is this user for the other side."""
    if uid is None:
        yield
        return
    os.setegid(uid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


class Caller:
    """A connection to a door."""

    def __init__(self, door, uid: int | None = None):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(SECONDS)
        try:
            with as_user(uid):
                self.socket.connect(str(door))
        except OSError:
            self.socket.close()
            raise

    def __enter__(self) -> "Caller":
        return self

    def __exit__(self, *_) -> None:
        self.socket.close()

    def say(self, data: bytes) -> "Caller":
        self.socket.sendall(data)
        return self

    def is_cut_off(self) -> bool:
        """The other side closes, whatever it says before."""
        try:
            while self.socket.recv(4096):
                pass
        except ConnectionResetError:
            pass
        except TimeoutError:
            return False
        return True

    def is_open(self) -> bool:
        try:
            self.socket.setblocking(False)
            return self.socket.recv(1, socket.MSG_PEEK) != b""
        except BlockingIOError:
            return True
        except ConnectionResetError:
            return False
        finally:
            self.socket.settimeout(SECONDS)

    def link(self, vm_id: int = 0, pool: bytes = b"A", priority: int = 1) -> "Link":
        """As a stub: says hello and takes the answer."""
        self.say(HELLO.pack(LINK_MAGIC, STUB_HELLO, 0, HELLO.size, 1, 0, 0, pool[0], priority, vm_id, 64 << 20, 0, 8, 0, b""))
        return self.take_link()

    def take_link(self) -> "Link":
        data = b""
        while len(data) < LINK.size:
            more, descriptors, _, _ = socket.recv_fds(self.socket, LINK.size - len(data), 4)
            for one in descriptors:
                os.close(one)
            if not more:
                raise EOFError(f"the broker closed after {len(data)} bytes of its answer")
            data += more
        return Link(data)


class Link:
    """The broker's answer to a stub."""

    def __init__(self, data: bytes):
        fields = LINK.unpack(data)
        self.status = fields[6]
        self.vm, self.text = (field.split(b"\0")[0].decode() for field in fields[-2:])


def legacy_ping(vm_id: int = 1) -> bytes:
    return LEGACY.pack(LEGACY_MAGIC, 3, vm_id, 1, b"A", 1, 0, 0)
