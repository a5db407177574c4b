# SPDX-License-Identifier: Apache-2.0
"""What every section of gpu-test works with: the two ways to run a program, logs, and time limits."""
import contextlib
import os
import pathlib
import re
import signal
import subprocess
import time
from dataclasses import dataclass, field

from harness.layout import Layout
from harness.private_broker import PrivateBroker

NATIVE, REMOTED = "native", "remoted"


class OutOfTime(Exception):
    """A section's or the whole test's time is used up."""


@dataclass
class Run:
    """How a program ended."""

    status: int | None  # None: it was killed for taking too long
    out: str
    err: str
    seconds: float

    @property
    def ok(self) -> bool:
        return self.status == 0

    def complaint(self) -> str:
        if self.status is None:
            return f"did not end within {self.seconds:.0f} s and was killed"
        lines = (self.err.strip() or self.out.strip()).splitlines()
        return f"exit status {self.status}" + (f": {lines[-1]}" if lines else "")


@dataclass
class Result:
    """What a section found: text for the reader, and whether it passes."""

    passed: bool = True
    skipped: str = ""  # the reason
    summary: str = ""
    lines: list[str] = field(default_factory=list)  # tables and details

    def fail(self, sentence: str) -> None:
        self.passed = False
        self.lines.append(sentence)


class Context:
    def __init__(self, layout: Layout, broker: PrivateBroker, native: dict[str, str], out: pathlib.Path, deadline: float, real_driver: bool):
        self.layout = layout
        self.broker = broker
        self.out = out
        self.section = ""
        self.real_driver = real_driver
        self._native = native
        self._deadline = deadline
        self._section_deadline = deadline

    def begin(self, section: str, seconds: float) -> None:
        self.section = section
        self._section_deadline = min(self._deadline, time.monotonic() + seconds)

    def time_left(self) -> float:
        """Of this section; raises when there is none."""
        left = self._section_deadline - time.monotonic()
        if left <= 0:
            raise OutOfTime(f"the time of section {self.section} is used up")
        return left

    def ways(self, program: str) -> tuple[str, ...]:
        """How a program can be run here. NVIDIA's run-time library asks the driver for private tables, which the shim
        has and the software GPU has not: a program with it runs on the software GPU only through us."""
        return (NATIVE, REMOTED) if self.real_driver or program == "demo_driver" else (REMOTED,)

    def environment(self, way: str) -> dict[str, str]:
        return dict(self._native) if way == NATIVE else self.broker.environment()

    def run(self, way: str, command: list, name: str, settings: dict[str, str] | None = None, seconds: float = float("inf")) -> Run:
        """Runs a program to its end, to the section's, or for these seconds; its output is kept in the output folder
        under NAME.WAY. settings: more of its environment. What it started and left behind ends with it."""
        left = min(seconds, self.time_left())
        begun = time.monotonic()
        log = self.out / f"{self.section}-{name}.{way}"
        with open(f"{log}.out", "wb") as out, open(f"{log}.err", "wb") as err:
            environment = self.environment(way) | (settings or {})
            process = subprocess.Popen([str(c) for c in command], env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True)
            try:
                status = process.wait(left)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                status = None
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        text = [pathlib.Path(f"{log}.{end}").read_text(errors="replace") for end in ("out", "err")]
        return Run(status, *text, time.monotonic() - begun)


def table(rows: list[tuple], head: tuple) -> list[str]:
    """Columns as wide as needed; those of numbers to the right."""
    cells = [[str(c) for c in row] for row in (head, *rows)]
    columns = range(len(head))
    widths = [max(len(row[i]) for row in cells) for i in columns]
    numeric = [all(re.fullmatch(r"[0-9.]+", row[i]) for row in cells[1:]) for i in columns]
    return ["  ".join(row[i].rjust(widths[i]) if numeric[i] else row[i].ljust(widths[i]) for i in columns).rstrip() for row in cells]
