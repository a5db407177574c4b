# SPDX-License-Identifier: Apache-2.0
"""A private broker, and what its log tells about its clients."""
import re
from typing import NamedTuple

from harness.private_broker import PrivateBroker

CONNECTED = re.compile(r"client (\d+) connected: pid (\d+)")
STARTED = re.compile(r"client (\d+): worker (\d+) started")
TAKEN_BACK = re.compile(r"took back client \d+: worker \d+ \(pid (\d+) of the client")
ENDED = re.compile(r"worker (\d+) of client \d+ ended: ([^;\n]+)")
ENDED_UNSEEN = re.compile(r"worker (\d+) of client \d+ has (ended while no broker served)")


class Served(NamedTuple):
    client: int  # pid
    worker: int  # pid


class FireBroker(PrivateBroker):
    was_started = False

    def _start(self) -> None:
        self.was_started = True
        super()._start()

    def remove(self) -> None:
        """Of a broker that has ended, or was never started."""
        if self.was_started:
            self._process.wait()
        self._remove()

    @property
    def status(self) -> int | None:
        """As Popen has it; None while it runs."""
        return self._process.poll()

    def text(self) -> str:
        """What all brokers of this socket and their workers logged."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def served(self) -> list[Served]:
        """Every client that ever got a worker, in order."""
        text = self.text()
        clients = {number: int(pid) for number, pid in CONNECTED.findall(text)}
        return [Served(clients[number], int(worker)) for number, worker in STARTED.findall(text) if number in clients]

    def worker_of(self, client: int) -> int | None:
        return next((s.worker for s in self.served() if s.client == client), None)

    def taken_back(self) -> list[int]:
        """The clients that were ever taken back, by pid."""
        return [int(pid) for pid in TAKEN_BACK.findall(self.text())]

    def ends(self) -> dict[int, str]:
        """Worker -> why it ended."""
        text = self.text()
        return {int(worker): why.strip() for worker, why in ENDED.findall(text) + ENDED_UNSEEN.findall(text)}
