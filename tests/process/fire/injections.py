# SPDX-License-Identifier: Apache-2.0
"""What is done to a process: signals, and limits at what it uses just now."""
import os
import pathlib
import resource
import signal


def send(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def freeze(pid: int) -> None:
    send(pid, signal.SIGSTOP)


def thaw(pid: int) -> None:
    send(pid, signal.SIGCONT)


class Shortage:
    """A soft limit on another process, to be lifted again."""

    def __init__(self, pid: int, kind: str):
        self.pid = pid
        self.what, limit = (resource.RLIMIT_NOFILE, lowest_free_descriptor(pid)) if kind == "files" else (resource.RLIMIT_AS, address_space(pid))
        self.before = resource.prlimit(pid, self.what)
        resource.prlimit(pid, self.what, (limit, self.before[1]))

    def lift(self) -> None:
        resource.prlimit(self.pid, self.what, self.before)


def lowest_free_descriptor(pid: int) -> int:
    """Limited to this, the process gets no further descriptor, even where it has some above."""
    used = {int(name) for name in os.listdir(f"/proc/{pid}/fd")}
    return next(number for number in range(len(used) + 1) if number not in used)


def address_space(pid: int) -> int:
    """Bytes mapped, as RLIMIT_AS counts them."""
    pages = int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[0])
    return pages * resource.getpagesize()


def is_waiting_in_socket(pid: int) -> bool:
    """It sleeps, and has a connection: of a client in its hello, that it waits for the answer."""
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        links = [os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state == "S" and any(link.startswith("socket:") for link in links)
