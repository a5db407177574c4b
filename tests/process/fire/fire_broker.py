# SPDX-License-Identifier: Apache-2.0
"""A private broker that may be killed and started again on its socket, and what it tells about its clients."""
import os
import re
import signal
import time
from typing import NamedTuple

from harness.private_broker import PrivateBroker
from harness.processes import is_alive
from talker import CellFailed, Clock

# Whether the broker answers SIGUSR1 with its accounts, and takes workers of a killed one back.
TAKES_BACK = False

ACCOUNTS = re.compile(r"accounts: (.*)")
CONNECTED = re.compile(r"client (\d+) connected: pid (\d+)")
STARTED = re.compile(r"client (\d+): worker (\d+) started")
TAKEN_BACK = re.compile(r"took back client (\d+): worker (\d+) \(pid (?:of the client )?(\d+)")
ENDED = re.compile(r"worker (\d+) of client (\d+) ended: ([^;\n]+)")


class Served(NamedTuple):
    client: int  # pid
    worker: int  # pid


class FireBroker(PrivateBroker):
    """Its folder holds the log of each start."""

    starts = 0

    def _start(self) -> None:
        self.starts += 1
        self.log = self.folder / f"broker-{self.starts}.log"
        (self.folder / "notify.sock").unlink(missing_ok=True)
        super()._start()

    def crash(self) -> None:
        self._process.kill()
        self._process.wait()

    def start_again(self) -> None:
        self._start()

    def remove(self) -> None:
        """Of a broker that has ended, or was never started."""
        if self._process:
            self._process.wait()
        self._remove()

    # ---- what it tells -----------------------------------------------------------------------------------------

    def text(self) -> str:
        """All logs, in their order."""
        logs = sorted(self.folder.glob("broker-*.log"))
        return "".join(log.read_text(errors="replace") for log in logs)

    def served(self) -> list[Served]:
        """Every client that ever got a worker, in order."""
        clients = {number: int(pid) for number, pid in CONNECTED.findall(self.text())}
        return [Served(clients[number], int(worker)) for number, worker in STARTED.findall(self.text()) if number in clients]

    def worker_of(self, client: int) -> int | None:
        return next((s.worker for s in self.served() if s.client == client), None)

    def taken_back(self) -> set[int]:
        """The clients that the latest start took back, by pid."""
        return {int(pid) for _, _, pid in TAKEN_BACK.findall(self.log.read_text(errors="replace"))}

    def ends(self) -> dict[int, str]:
        """Worker -> why it ended."""
        return {int(worker): why.strip() for worker, _, why in ENDED.findall(self.text())}

    def accounts(self, clock: Clock) -> dict[str, int]:
        """What the broker holds, as it says itself."""
        if not TAKES_BACK:
            time.sleep(0.02)  # a broker that has just said it is ready closes one more
            workers = len(self.workers())
            return {"clients": workers, "places": workers, "workers": workers, "descriptors": len(os.listdir(f"/proc/{self.pid}/fd"))}
        before = len(ACCOUNTS.findall(self.text()))
        os.kill(self.pid, signal.SIGUSR1)

        def answer():
            if not is_alive(self.pid):
                raise CellFailed("the broker is gone")
            return ACCOUNTS.findall(self.text())[before:]

        words = clock.until(answer, "the broker's accounts")[0].split(", ")
        return {what: int(count) for what, count in (word.rsplit(" ", 1) for word in words)}
