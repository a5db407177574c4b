# SPDX-License-Identifier: Apache-2.0
"""Where a process's threads are when it does not end: for hangs behind the last line of Python, where no debugger is at hand."""
import os
import pathlib
import re
import select
import struct
import sys

MOST_FRAMES, STACK_BYTES = 30, 16384


def code_mappings(folder: pathlib.Path) -> list[tuple[int, int, int, str]]:
    """(from, to, offset in the file, name) of what can be executed."""
    found = []
    for line in (folder / "maps").read_text().splitlines():
        words = line.split(maxsplit=5)
        if "x" in words[1] and len(words) == 6:
            begin, end = (int(word, 16) for word in words[0].split("-"))
            found.append((begin, end, int(words[2], 16), pathlib.Path(words[5]).name))
    return found


def frames(task: pathlib.Path, memory, mappings) -> list[str]:
    """What on a waiting thread's stack looks like a return address; some of it is left from earlier calls."""
    words = (task / "syscall").read_text().split()
    if len(words) < 3:
        return [" ".join(words)]
    memory.seek(int(words[-2], 16))
    stack = memory.read(STACK_BYTES)
    values = [int(words[-1], 16), *(value for (value,) in struct.iter_unpack("<Q", stack[: len(stack) // 8 * 8]))]
    named = [f"{name}+{value - begin + offset:#x}" for value in values for begin, end, offset, name in mappings if begin <= value < end]
    return named[:MOST_FRAMES]


def dump(pid: int) -> None:
    folder = pathlib.Path(f"/proc/{pid}")
    mappings = code_mappings(folder)
    with (folder / "mem").open("rb", 0) as memory:
        for task in sorted((folder / "task").iterdir()):
            try:
                state = re.search(r"State:\s+(\S)", (task / "status").read_text()).group(1)
                print(f"thread {task.name} {(task / 'comm').read_text().strip()}: {state}, system call {(task / 'syscall').read_text().split()[0]}", file=sys.stderr)
                print("   ", " ".join(frames(task, memory, mappings)), file=sys.stderr)
            except OSError as error:
                print(f"thread {task.name}: {error}", file=sys.stderr)
    sys.stderr.flush()


class Watcher:
    """A process of its own, made before there is anything of CUDA in this one."""

    def __init__(self):
        watched, (self._read, self._write) = os.getpid(), os.pipe()
        self._process = os.pidfd_open(watched)
        if os.fork() == 0:
            os.close(self._write)
            self._watch(watched)
            os._exit(0)
        os.close(self._read)

    def _watch(self, watched: int) -> None:
        """Until the process ends; dumps it if it is still there so many seconds after it has said so."""
        if self._process in select.select([self._read, self._process], [], [])[0]:
            return
        seconds = os.read(self._read, 16)
        if seconds and not select.select([self._process], [], [], float(seconds))[0]:
            try:
                dump(watched)
            except OSError as error:
                print(f"no stacks: {error}", file=sys.stderr, flush=True)

    def expect_end_within(self, seconds: float) -> None:
        os.write(self._write, str(seconds).encode())
