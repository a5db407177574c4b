# SPDX-License-Identifier: Apache-2.0
"""What a cell must not leave behind: processes, shared memory, sockets."""
import os
import pathlib


def _links(pid: int) -> list[tuple[str, str]]:
    """(path in /proc, where it leads) of the open files; empty for what is gone or not ours to see."""
    folder, found = f"/proc/{pid}/fd", []
    try:
        for name in os.listdir(folder):
            found.append((f"{folder}/{name}", os.readlink(f"{folder}/{name}")))
    except (FileNotFoundError, PermissionError, ProcessLookupError):
        pass
    return found


def _everybody() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]


def processes_of(folder: pathlib.Path) -> list[int]:
    """Who has a file of the cell's folder open: broker, clients and workers have their standard error there."""
    return [pid for pid in _everybody() if any(link.startswith(f"{folder}/") for _, link in _links(pid))]


def windows_of(pid: int) -> set[tuple[int, int]]:
    """The shared memory that a process holds, as (device, inode)."""
    found = set()
    for path, link in _links(pid):
        if link.startswith("/memfd:vgpu"):
            try:
                status = os.stat(path)
            except (FileNotFoundError, ProcessLookupError):
                continue
            found.add((status.st_dev, status.st_ino))
    return found


def holders_of(windows: set[tuple[int, int]]) -> list[int]:
    return [pid for pid in _everybody() if windows & windows_of(pid)]


def command_of(pid: int) -> str:
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except (FileNotFoundError, ProcessLookupError):
        return "(gone)"
