# SPDX-License-Identifier: Apache-2.0
"""A client that computes without a pause while something is done to the broker."""
import threading

from .private_broker import SteadyClient


class Computing(threading.Thread):
    """Asks its client again and again, and keeps what it answered."""

    def __init__(self, client: SteadyClient):
        super().__init__()
        self.client = client
        self.answers = 0
        self.wrong: list[str] = []
        self.ended = threading.Event()
        self.start()

    def run(self) -> None:
        while not self.ended.is_set():
            answer = self.client.ask()
            self.answers += 1
            if answer != "right":
                self.wrong.append(answer)
                return

    def stop(self) -> None:
        self.ended.set()
        self.join()
