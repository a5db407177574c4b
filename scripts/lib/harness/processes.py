# SPDX-License-Identifier: Apache-2.0
"""What the kernel says about processes: children, CPU time, how often their threads woke up."""
import os
import pathlib
import time
from dataclasses import dataclass

TICKS = os.sysconf("SC_CLK_TCK")


def is_alive(pid: int) -> bool:
    """Running; neither gone nor a zombie."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def children_of(pid: int) -> list[int]:
    try:
        lists = [(task / "children").read_text() for task in pathlib.Path(f"/proc/{pid}/task").iterdir()]
        found = [int(word) for text in lists for word in text.split()]
    except FileNotFoundError:  # a kernel without those lists, or the process is gone
        found = [int(entry) for entry in os.listdir("/proc") if entry.isdigit() and parent_of(int(entry)) == pid]
    return sorted(child for child in found if is_alive(child))


def parent_of(pid: int) -> int | None:
    try:
        return int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return None


def wait_until(condition, seconds: float) -> bool:
    """Looks again until the condition holds or the time is up."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


@dataclass
class Activity:
    wakeups: dict[str, int]  # thread -> voluntary context switches: it slept, and was woken
    cpu_seconds: float

    def since(self, earlier: "Activity") -> "Activity":
        wakeups = {t: n - earlier.wakeups.get(t, 0) for t, n in self.wakeups.items()}
        return Activity({t: n for t, n in wakeups.items() if n}, self.cpu_seconds - earlier.cpu_seconds)

    def total_wakeups(self) -> int:
        return sum(self.wakeups.values())

    def only(self, prefix: str) -> int:
        """Wake-ups of the threads whose names begin so."""
        return sum(n for thread, n in self.wakeups.items() if thread.startswith(prefix))

    def without(self, prefix: str) -> int:
        return self.total_wakeups() - self.only(prefix)


def activity_of(pid: int) -> Activity:
    """Counts since the process began, over all its threads."""
    wakeups = {}
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        for line in (task / "status").read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches:"):
                wakeups[f"{(task / 'comm').read_text().strip()}/{task.name}"] = int(line.split()[1])
    return Activity(wakeups, cpu_seconds_of(pid))


def cpu_seconds_of(pid: int) -> float:
    """Of its present threads. Exact where the kernel keeps it; else in ticks, of which one is charged whole to whoever runs when it ends."""
    try:
        return sum(int((task / "schedstat").read_text().split()[0]) for task in pathlib.Path(f"/proc/{pid}/task").iterdir()) / 1e9
    except FileNotFoundError:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS
