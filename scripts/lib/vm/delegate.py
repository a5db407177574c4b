# SPDX-License-Identifier: Apache-2.0
"""The bench's side of the delegate in a guest (tests/vm/programs/delegate.h): starts programs there and hears of them."""
import os
import pathlib
import signal
import socket
import struct
import threading
import time
from dataclasses import dataclass

HEADER = struct.Struct("<III")
FRAME_MAX = 65536
RUN, INPUT, KILL = 1, 2, 3
READY, STARTED, OUTPUT, ERRORS, ENDED, REFUSED = 64, 65, 66, 67, 68, 69


class GuestFailed(Exception):
    """Something in the guest did not happen in time, or not as it should; the text holds the console's last lines."""


@dataclass
class Result:
    """How a program in the guest ended. status: its exit status, or the signal's number, negative."""

    status: int
    stdout: str
    stderr: str
    seconds: float


class GuestProcess:
    """A program in the guest. Waits take a time limit in seconds, and raise GuestFailed when it is over."""

    def __init__(self, delegate: "Delegate", number: int, words: list[str]):
        self.words = words
        self._delegate = delegate
        self._number = number
        self._begun = time.monotonic()
        self._ended_at = self._begun
        self._output = bytearray()
        self._errors = bytearray()
        self._read = 0  # of the output, by read_line()
        self._pid: int | None = None
        self._status: int | None = None
        self._refusal = ""

    # ---- what it has said -------------------------------------------------------------------------------------------

    @property
    def pid(self) -> int:
        """In the guest."""
        return self._pid

    @property
    def stdout(self) -> str:
        return self._output.decode(errors="replace")

    @property
    def stderr(self) -> str:
        return self._errors.decode(errors="replace")

    @property
    def is_running(self) -> bool:
        return self._status is None

    # ---- what can be done with it -----------------------------------------------------------------------------------

    def write(self, content: bytes) -> None:
        for at in range(0, len(content), FRAME_MAX):
            self._delegate.send(self._number, INPUT, content[at : at + FRAME_MAX])

    def close_input(self) -> None:
        self._delegate.send(self._number, INPUT, b"")

    def kill(self, number: int = signal.SIGKILL) -> None:
        self._delegate.send(self._number, KILL, struct.pack("<I", number))

    def wait(self, timeout: float) -> Result:
        self._delegate.await_change(lambda: self._status is not None, timeout, lambda: f"{self} did not end within {timeout} s{self._said()}")
        return Result(self._status, self.stdout, self.stderr, self._ended_at - self._begun)

    def read_line(self, timeout: float) -> str:
        """The next line of its output, without the newline; empty at the end of the output."""
        self._delegate.await_change(lambda: b"\n" in self._output[self._read :] or self._status is not None, timeout,
                                    lambda: f"{self} wrote no line within {timeout} s{self._said()}")
        line, end, _ = bytes(self._output[self._read :]).partition(b"\n")
        self._read += len(line) + len(end)
        return line.decode(errors="replace")

    def wait_for(self, text: str, timeout: float) -> None:
        """Until it has written the text to either of its outputs."""
        said = lambda: text in self.stdout or text in self.stderr  # noqa: E731
        self._delegate.await_change(lambda: said() or self._status is not None, timeout, lambda: f"{self} did not say '{text}' within {timeout} s{self._said()}")
        if not said():
            raise self._delegate.failure(f"{self} ended with status {self._status} and did not say '{text}'{self._said()}")

    def __str__(self) -> str:
        return f"'{' '.join(self.words)}' in guest {self._delegate.name}"

    def _said(self) -> str:
        return "".join(f"\nits {name}:\n{text[-2000:]}" for name, text in (("output", self.stdout), ("errors", self.stderr)) if text)

    # ---- what the guest says of it ----------------------------------------------------------------------------------

    def hear(self, kind: int, body: bytes) -> None:
        if kind == STARTED:
            self._pid = struct.unpack("<I", body)[0]
        elif kind == OUTPUT:
            self._output += body
        elif kind == ERRORS:
            self._errors += body
        elif kind == REFUSED:
            self._refusal = body.decode(errors="replace")
            self._status = 127
        elif kind == ENDED:
            self._ended_at = time.monotonic()
            self._status = os.waitstatus_to_exitcode(struct.unpack("<I", body)[0])

    def await_start(self, timeout: float) -> None:
        self._delegate.await_change(lambda: self._pid is not None or self._refusal, timeout, lambda: f"{self} was not started within {timeout} s")
        if self._refusal:
            raise self._delegate.failure(f"{self} could not be started: {self._refusal}")


class Delegate:
    """One connection to one life of a guest. A thread reads; whoever waits is woken by each frame."""

    def __init__(self, name: str, socket_path: pathlib.Path, obituary, failure):
        """obituary() says why the guest can answer no more (empty: it can); failure(text) makes the error of it."""
        self.name = name
        self.failure = failure
        self.boot_id = ""
        self._obituary = obituary
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(socket_path))
        self._changed = threading.Condition()
        self._sending = threading.Lock()
        self._processes: dict[int, GuestProcess] = {}
        self._last_number = 0
        self._closed = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def close(self) -> None:
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._reader.join()
        self._socket.close()

    def await_ready(self, timeout: float) -> None:
        self.await_change(lambda: self.boot_id, timeout, lambda: f"guest {self.name} was not up within {timeout} s")

    def start(self, words: list[str], user: int, settings: dict[str, str], timeout: float) -> GuestProcess:
        with self._changed:
            self._last_number += 1
            number = self._last_number
            process = self._processes[number] = GuestProcess(self, number, words)
        texts = [*words, *(f"{name}={value}" for name, value in settings.items())]
        self.send(number, RUN, struct.pack("<II", user, len(words)) + b"".join(t.encode() + b"\0" for t in texts))
        process.await_start(timeout)
        return process

    def send(self, number: int, kind: int, body: bytes) -> None:
        with self._sending:
            try:
                self._socket.sendall(HEADER.pack(len(body), number, kind) + body)
            except OSError as error:
                raise self.failure(f"guest {self.name} cannot be spoken to: {self._obituary() or error}") from None

    def await_change(self, condition, timeout: float, complaint) -> None:
        """Until the condition holds; it looks at what frames have changed."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while not condition():
                end = self._obituary() or ("its connection was closed" if self._closed else "")
                if end:
                    raise self.failure(f"{complaint()}\nguest {self.name}: {end}")
                left = deadline - time.monotonic()
                if left <= 0:
                    raise self.failure(complaint())
                self._changed.wait(min(left, 0.5))

    # ---- the reading thread -----------------------------------------------------------------------------------------

    def _read(self) -> None:
        unread = bytearray()
        while True:
            try:
                chunk = self._socket.recv(1 << 18)
            except OSError:
                chunk = b""
            with self._changed:
                unread += chunk
                self._hear_whole_frames(unread)
                self._closed = not chunk
                self._changed.notify_all()
            if not chunk:
                return

    def _hear_whole_frames(self, unread: bytearray) -> None:
        while len(unread) >= HEADER.size:
            size, number, kind = HEADER.unpack_from(unread)
            if len(unread) < HEADER.size + size:
                return
            body = bytes(unread[HEADER.size : HEADER.size + size])
            del unread[: HEADER.size + size]
            if kind == READY:
                self.boot_id = body.decode(errors="replace").strip() or "unknown"
            elif number in self._processes:
                self._processes[number].hear(kind, body)
