# SPDX-License-Identifier: Apache-2.0
"""The table: who is hit, in what stage of the client, by what."""
import re
from typing import NamedTuple

ROLES = ("client", "worker", "broker")
STAGES = ("idle", "call", "stream", "copy", "capture", "alloc", "host", "hello", "reclaim")
# kill: SIGKILL. stop: SIGSTOP, then SIGCONT. files, memory: no descriptor, no mapping more than there is (prlimit).
KINDS = ("kill", "stop", "files", "memory")


class Cell(NamedTuple):
    role: str
    stage: str
    kind: str

    @property
    def name(self) -> str:
        return ".".join(self)


# Cases of their own beside the product of the three lists.
FORKED = Cell("client", "forked", "kill")  # a forked child of the killed client lives on
ORPHANED_CLIENT = Cell("client", "orphaned", "kill")  # after its broker
ORPHANED_WORKER = Cell("worker", "orphaned", "kill")
ADOPTED = Cell("worker", "adopted", "kill")  # by the broker that came after its own
RELAUNCHED = Cell("broker", "relaunched", "signal")  # SIGUSR2
ABSENT = Cell("broker", "absent", "start")  # there is no broker
EXTRAS = (FORKED, ORPHANED_CLIENT, ORPHANED_WORKER, ADOPTED, RELAUNCHED, ABSENT)
# Stages of the client in those cases that have none by their name.
STAND_INS = {"orphaned": "stream", "adopted": "stream", "relaunched": "call"}


def all_cells() -> list[Cell]:
    return [Cell(role, stage, kind) for stage in STAGES for kind in KINDS for role in ROLES] + list(EXTRAS)


def is_of_third(cell: Cell) -> bool:
    """Every pair of stage and kind with one role, every role equally often; and the cases of their own."""
    if cell in EXTRAS:
        return True
    return (ROLES.index(cell.role) + STAGES.index(cell.stage) + KINDS.index(cell.kind)) % len(ROLES) == 0


def select(third: bool, kinds: set[str], pattern: str) -> list[Cell]:
    cells = [c for c in all_cells() if is_of_third(c)] if third else all_cells()
    return [c for c in cells if (c in EXTRAS or c.kind in kinds) and re.search(pattern, c.name)]
