# SPDX-License-Identifier: Apache-2.0
"""A process of fire_client: what it says, and when; every wait has a deadline."""
import os
import pathlib
import signal
import subprocess
import threading
import time


class CellFailed(Exception):
    """Something was not as it should be; the text is for the reader of the report."""


class Clock:
    """The time limit of one cell."""

    def __init__(self, seconds: float):
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        return max(0.0, self._end - time.monotonic())

    def until(self, condition, what: str):
        """Asks again and again; returns what the condition gave, when that is true."""
        while True:
            result = condition()
            if result:
                return result
            if not self.left():
                raise CellFailed(f"the cell's {self.seconds:g} s are over; in vain waited for: {what() if callable(what) else what}")
            time.sleep(0.005)


class Talker:
    def __init__(self, program: pathlib.Path, stage: str, environment: dict[str, str], folder: pathlib.Path, clock: Clock, name: str):
        self.name = name
        self.clock = clock
        self.errors_file = folder / f"{name}.err"
        self.begun = time.monotonic()
        # The standard error goes into the cell's folder: what holds a file there belongs to the cell.
        with self.errors_file.open("wb") as errors:
            self._process = subprocess.Popen([str(program), stage], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)
        self._said: list[tuple[float, str]] = []
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def status(self) -> int | None:
        return self._process.poll()

    def _read(self) -> None:
        for line in self._process.stdout:
            with self._changed:
                self._said.append((time.monotonic(), line.decode(errors="replace").rstrip("\n")))
                self._changed.notify_all()

    # ---- what it says ------------------------------------------------------------------------------------------

    def lines(self) -> list[str]:
        with self._changed:
            return [text for _, text in self._said]

    def errors(self) -> list[str]:
        return self.errors_file.read_text(errors="replace").splitlines()

    def find(self, start: str, skip: int = 0) -> tuple[float, str] | None:
        """When it said the first line that begins so (or a later one), and the line."""
        with self._changed:
            found = [entry for entry in self._said if entry[1].startswith(start)]
        return found[skip] if len(found) > skip else None

    def await_line(self, start: str, skip: int = 0) -> tuple[float, str]:
        def look():
            found = self.find(start, skip)
            if not found and self.status is not None and not self._reader.is_alive():
                found = self.find(start, skip)
                if not found:
                    raise CellFailed(f"{self.name} ended with status {self.status} and did not say '{start}'")
            return found

        return self.clock.until(look, f"{self.name} to say '{start}'")

    def verdict(self) -> tuple[float, str]:
        when, line = self.await_line("verdict: ")
        return when, line.removeprefix("verdict: ")

    # ---- what it is told ---------------------------------------------------------------------------------------

    def poke(self) -> None:
        """A byte: it leaves its stage; the neighbour counts its rounds."""
        try:
            self._process.stdin.write(b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # its end is noticed elsewhere

    def rounds(self) -> int:
        answered = sum(line.startswith("rounds ") for line in self.lines())
        self.poke()
        return int(self.await_line("rounds ", answered)[1].split()[1])

    def await_end(self) -> int:
        try:
            return self._process.wait(self.clock.left())
        except subprocess.TimeoutExpired:
            raise CellFailed(f"the cell's {self.clock.seconds:g} s are over; {self.name} (pid {self.pid}) has not ended") from None

    def close_input(self) -> None:
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            pass

    def destroy(self) -> None:
        """Whatever state it is in."""
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            self._process.wait()
        self.close_input()
        self._reader.join(1)
        if not self._reader.is_alive():  # a forked child may hold the other end
            self._process.stdout.close()
