# SPDX-License-Identifier: Apache-2.0
"""QEMU's control socket."""
import json
import pathlib
import socket
import time


class QmpFailed(Exception):
    """QEMU does not answer, or refuses."""


class Qmp:
    def __init__(self, path: pathlib.Path, timeout: float):
        self._timeout = timeout
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(timeout)
        self._socket.connect(str(path))
        self._unread = b""
        self._events: list[str] = []
        self._next(time.monotonic() + timeout)  # the greeting
        self.execute("qmp_capabilities")

    def close(self) -> None:
        self._socket.close()

    def execute(self, command: str, **arguments) -> dict:
        """The command's answer; events that come before it are kept for await_event()."""
        message = {"execute": command} | ({"arguments": arguments} if arguments else {})
        self._socket.sendall(json.dumps(message).encode() + b"\n")
        deadline = time.monotonic() + self._timeout
        while True:
            answer = self._next(deadline)
            if "event" in answer:
                self._events.append(answer["event"])
            elif "error" in answer:
                raise QmpFailed(f"{command}: {answer['error'].get('desc')}")
            else:
                return answer.get("return", {})

    def forget_events(self) -> None:
        self._events.clear()

    def await_event(self, name: str) -> None:
        deadline = time.monotonic() + self._timeout
        while name not in self._events:
            answer = self._next(deadline)
            if "event" in answer:
                self._events.append(answer["event"])
        self._events.remove(name)

    def _next(self, deadline: float) -> dict:
        while b"\n" not in self._unread:
            self._socket.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                chunk = self._socket.recv(65536)
            except TimeoutError:
                raise QmpFailed(f"QEMU did not answer within {self._timeout} s") from None
            except ConnectionError:
                chunk = b""
            if not chunk:
                raise QmpFailed("QEMU closed its control socket")
            self._unread += chunk
        line, _, self._unread = self._unread.partition(b"\n")
        return json.loads(line)
