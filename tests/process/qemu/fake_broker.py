# SPDX-License-Identifier: Apache-2.0
"""The broker's end of the link (common/abi/stub_link.h), as a test wants it: it answers what it is told to."""
import fcntl
import mmap
import os
import pathlib
import select
import socket
import struct

SECONDS = 20
MAGIC = 0x43504756
STUB_HELLO, LINK, OPEN, OPENED, CLOSE, CLOSED = 16, 17, 18, 19, 20, 21
SIZES = {STUB_HELLO: 64, OPEN: 4120, CLOSE: 24}
PIECE = 2 << 20


class Window:
    """Memory for BAR1, sealed as the device wants it."""

    def __init__(self, size: int, text: bytes):
        self.fd = os.memfd_create("test-window", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self.fd, size)
        fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
        self.memory = mmap.mmap(self.fd, size)
        self.memory[: len(text)] = text

    def close(self) -> None:
        self.memory.close()
        os.close(self.fd)


class FakeBroker:
    def __init__(self, path: pathlib.Path):
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(4)
        self._listener.settimeout(SECONDS)
        self._link: socket.socket | None = None

    def close(self) -> None:
        self.leave()
        self._listener.close()

    def leave(self) -> None:
        if self._link:
            self._link.close()
        self._link = None

    def receive(self, kind: int) -> tuple[bytes, list[int]]:
        """The next message, which is of that kind; its descriptors become the caller's."""
        data, fds, *_ = socket.recv_fds(self._link, SIZES[kind], 4)
        while data and len(data) < SIZES[kind]:
            data += self._link.recv(SIZES[kind] - len(data))
        magic, found, count, size = struct.unpack_from("<IHHI", data)
        if (magic, found, count, size) != (MAGIC, kind, len(fds), SIZES[kind]):
            raise AssertionError(f"message {kind} wanted, got {data[:16].hex()} with {len(fds)} descriptors")
        return data, fds

    def _send(self, kind: int, body: bytes, fds: list[int] = ()) -> None:
        header = struct.pack("<IHHIHH", MAGIC, kind, len(fds), 16 + len(body), 1, 0)
        socket.send_fds(self._link, [header + body], list(fds))

    def await_hello(self) -> tuple[dict, list[int]]:
        self.leave()
        self._link, _ = self._listener.accept()
        self._link.settimeout(SECONDS)
        data, fds = self.receive(STUB_HELLO)
        pool, priority, vm_id, size, _, channels = struct.unpack_from("<BBIQQI", data, 18)
        self._channels = channels
        return {"pool": chr(pool), "priority": priority, "vm_id": vm_id, "window_size": size, "channels": channels}, fds

    def link_up(self, size: int, window: Window | None, name: str = "test") -> None:
        """With a window, or keeping the one that the hello showed."""
        kept = 0 if window else 1
        body = struct.pack("<IHHQQII16sII64s240s", 0, 1, 0, 0, size, self._channels, kept, bytes(16), os.getpid(), 0, name.encode(), b"")
        self._send(LINK, body, [window.fd] if window else [])

    def await_open(self) -> tuple[int, bytes]:
        data, _ = self.receive(OPEN)
        channel, size = struct.unpack_from("<II", data, 16)
        return channel, data[24 : 24 + size]

    def opened(self, channel: int, doorbell: int, worker: int, reply: bytes) -> None:
        body = struct.pack("<IIQQ512s", channel, 0, PIECE, 77, reply)
        self._send(OPENED, body, [doorbell, worker])

    def is_left(self, seconds: float = SECONDS) -> bool:
        """Whether the device has closed the connection, now or within that time."""
        readable, _, _ = select.select([self._link], [], [], seconds)
        return bool(readable) and self._link.recv(1) == b""
