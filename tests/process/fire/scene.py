# SPDX-License-Identifier: Apache-2.0
"""One cell's processes: a broker, a neighbour whose results must stay right, and the client that is brought to a stage."""
import os
import signal
from typing import NamedTuple

import leftovers
from cells import STAND_INS, Cell
from fire_broker import FireBroker
from harness.layout import Layout
from harness.processes import is_alive
from injections import freeze, is_waiting_in_socket, send, thaw
from talker import CellFailed, Clock, Talker

# Of the neighbour, between two looks: it is not held up.
ROUNDS = 2


class Settings(NamedTuple):
    layout: Layout
    driver: str
    seconds: float  # for a cell

    @property
    def is_software(self) -> bool:
        return self.driver == "sim"


class Scene:
    def __init__(self, cell: Cell, settings: Settings):
        self.cell = cell
        self.settings = settings
        self.clock = Clock(settings.seconds)
        self.broker = FireBroker(settings.layout, settings.driver)
        self.neighbour: Talker
        self.client: Talker
        self.worker = 0  # of the client
        self.child = 0  # of the client, forked
        self.caught_in_shortage: set[int] = set()  # clients that the broker had to serve with little
        self.frozen: list[int] = []  # what the bringing to the stage left stopped
        self.windows: set[tuple[int, int]] = set()
        self._talkers: list[Talker] = []

    # ---- beginning ---------------------------------------------------------------------------------------------

    def open(self) -> None:
        """A broker, and a neighbour that computes."""
        self.broker.__enter__()
        self.empty = self.broker.accounts()
        self.neighbour = self.start("neighbour", "neighbour")
        self.neighbour.await_line("at neighbour")
        self.alone = self.await_accounts(lambda a: a["workers"] == 1, "the neighbour's worker")
        self.check_neighbour()

    def start(self, stage: str, name: str, environment: dict[str, str] | None = None) -> Talker:
        program = self.settings.layout.program("fire_client")
        talker = Talker(program, stage, environment or self.broker.environment(), self.broker.folder, self.clock, name)
        self._talkers.append(talker)
        return talker

    def bring_to_stage(self) -> None:
        """The client is in its stage; some others may be stopped, for it to stay there."""
        special = {"hello": self._bring_to_hello, "reclaim": self._bring_to_reclaim, "forked": self._bring_to_fork}
        special.get(self.cell.stage, self._bring_to_usual)()
        self.check_neighbour()

    def _bring_to_usual(self) -> None:
        stage = STAND_INS.get(self.cell.stage, self.cell.stage)
        self.client = self.start(stage, "client")
        self.client.await_line(f"at {stage}")
        self._note_worker()

    def _note_worker(self) -> None:
        self.worker = self.clock.until(lambda: self.broker.worker_of(self.client.pid), "the client's worker in the broker's log")
        self.windows |= leftovers.windows_of(self.client.pid)

    def _bring_to_hello(self) -> None:
        """The client has said hello to a stopped broker; or, for its worker, a stopped client has one that waits for it."""
        self.client = self.start("hello", "client")
        self.client.await_line("at hello")
        self.freeze(self.broker.pid)
        self.client.poke()
        self.clock.until(lambda: is_waiting_in_socket(self.client.pid), "the client to wait for the broker")
        if self.cell.role == "worker":
            self.freeze(self.client.pid)
            self.thaw(self.broker.pid)
            self._note_worker()

    def _bring_to_reclaim(self) -> None:
        """The client has just ended, and nobody had the time to notice."""
        if self.cell.role == "client":
            self._bring_to_fork()
        else:
            self._bring_to_usual()
        self.freeze(self.broker.pid)
        if self.cell.role == "worker":
            self.freeze(self.worker)
        self.client.poke()
        if self.client.await_end() != 0:
            raise CellFailed(f"the client ended with status {self.client.status} before anything was done to it")

    def _bring_to_fork(self) -> None:
        self.client = self.start("forked", "client")
        self.child = int(self.client.await_line("child ")[1].split()[1])
        self.client.await_line("at forked")
        self._note_worker()

    def freeze(self, pid: int) -> None:
        freeze(pid)
        self.frozen.append(pid)

    def thaw(self, pid: int) -> None:
        thaw(pid)
        self.frozen.remove(pid)

    def thaw_all_but(self, target: int) -> None:
        for pid in [p for p in self.frozen if p != target]:
            self.thaw(pid)

    @property
    def target(self) -> int:
        """Whom the injection hits. What is left of a client that has ended is its forked child."""
        if self.cell.role == "client":
            return self.child if self.cell.stage == "reclaim" else self.client.pid
        return self.worker if self.cell.role == "worker" else self.broker.pid

    # ---- looking -----------------------------------------------------------------------------------------------

    def await_accounts(self, condition, what: str) -> dict[str, int]:
        """The accounts, once they are as the condition says."""
        last = {}

        def look():
            last.clear()
            last.update(self.broker.accounts())
            return condition(last)

        self.clock.until(look, lambda: f"{what}; the broker's accounts are {last}")
        return dict(last)

    def check_neighbour(self) -> None:
        """It is right, and goes on."""
        seen = self.neighbour.rounds()
        self.clock.until(lambda: self.neighbour.rounds() >= seen + ROUNDS, "the neighbour to compute on")

    # ---- ending ------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Everybody ends in order; nothing is left."""
        self.await_accounts(lambda a: a == self.alone, f"accounts as without the client, {self.alone}")
        self.windows |= leftovers.windows_of(self.neighbour.pid) | leftovers.windows_of(self.broker.pid)
        self.neighbour.close_input()
        _, verdict = self.neighbour.verdict()
        if verdict != "right" or self.neighbour.await_end() != 0 or self.neighbour.errors():
            raise CellFailed(f"the neighbour: {verdict}; status {self.neighbour.status} {' '.join(self.neighbour.errors())}")
        self.await_accounts(lambda a: a == self.empty, f"accounts as at the start, {self.empty}")
        self.broker.stop()
        self._check_nothing_left()

    def _check_nothing_left(self) -> None:
        if self.broker.socket.exists():
            raise CellFailed("the broker's socket is left")
        self.reap()
        self.clock.until(lambda: not leftovers.processes_of(self.broker.folder), lambda: f"processes to end: {self._describe_left()}")
        self.clock.until(lambda: not leftovers.holders_of(self.windows), lambda: f"shared memory to go, held by {leftovers.holders_of(self.windows)}")

    def _describe_left(self) -> str:
        return "; ".join(f"{pid} {leftovers.command_of(pid)}" for pid in leftovers.processes_of(self.broker.folder))

    def reap(self) -> None:
        """Orphaned workers become children of this process (see fire.py)."""
        for served in self.broker.served():
            try:
                os.waitpid(served.worker, os.WNOHANG)
            except ChildProcessError:
                pass

    def destroy(self) -> None:
        """After a failure too: ends whatever is left of the cell."""
        for pid in leftovers.processes_of(self.broker.folder):
            send(pid, signal.SIGKILL)
        for talker in self._talkers:
            talker.destroy()
        self.reap()
        self.broker.remove()

    def evidence(self) -> str:
        """What everybody said, for the report of a failure."""
        parts = []
        for talker in self._talkers:
            said = talker.lines()[-8:] + [f"(stderr) {line}" for line in talker.errors()[-4:]]
            parts += [f"  {talker.name} {talker.pid} (status {talker.status}): {line}" for line in said] or [f"  {talker.name} {talker.pid} said nothing"]
        parts += [f"  broker | {line}" for line in self.broker.text().splitlines()[-25:]]
        return "\n".join(parts)
