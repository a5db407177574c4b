# SPDX-License-Identifier: Apache-2.0
"""Whether clients, and the broker's log about their workers, say at the end what they should."""
import re

from scene import Scene
from talker import CellFailed, Talker

STICKY = re.compile(r"error (\w+) first, every later call \1$")
QUIET_ENDS = {"clean", "client gone"}
SOME_SIGNAL = "killed by a signal (the broker of its time is gone, and took the number with it)"
UNSEEN = "ended while no broker served"
CAUSED = "a class of its own"  # any end in order
KILLED, SEGMENTATION, ABORTED = "killed by signal 9 (kill)", "killed by signal 11 (segmentation fault)", "killed by signal 6 (abort)"

# ---- what a client says at its end ------------------------------------------------------------------------------


def expect_end(client: Talker, statuses: set[int]) -> None:
    if client.await_end() not in statuses:
        raise CellFailed(f"{client.name} ended with status {client.status}")


def expect_sticky_error(client: Talker, is_connected: bool) -> float:
    """The client without its worker: one error for ever, and an end by itself. When it had the error."""
    told, _ = client.await_line("error ")
    _, verdict = client.verdict()
    # Without a successful cuInit the driver's own answer to every later call is another.
    if not STICKY.match(verdict) and (is_connected or not verdict.endswith("every later call CUDA_ERROR_NOT_INITIALIZED")):
        raise CellFailed(f"the client's verdict without its worker: {verdict}")
    expect_end(client, {2})
    if len(client.errors()) != 1:
        raise CellFailed(f"not one line on standard error: {client.errors()}")
    return told


def expect_right(client: Talker) -> float:
    """When it was through its stage."""
    _, verdict = client.verdict()
    expect_end(client, {0, 2, 3})
    if verdict != "right" or client.status != 0 or client.errors():
        raise CellFailed(f"{client.name}: {verdict}; {' '.join(client.errors())}")
    return client.await_line("on")[0]


def expect_order(client: Talker) -> tuple[float, str]:
    """Right, or CUDA errors; and an end in order. When it was through its stage, or had its first error; and the verdict."""
    _, verdict = client.verdict()
    expect_end(client, {0, 2})
    if verdict != "right" and not verdict.startswith("error CUDA_ERROR_"):
        raise CellFailed(f"{client.name}: {verdict}")
    when, _ = client.find("on") or client.await_line("error ")
    return when, verdict


# ---- what the broker says of the workers ------------------------------------------------------------------------


def check_ends(scene: Scene) -> None:
    """Every worker's end is in the broker's log, and of the right class."""
    ends = scene.broker.ends()
    for served in scene.broker.served():
        why = ends.get(served.worker)
        allowed = allowed_ends(scene) if served.worker == scene.worker else QUIET_ENDS
        if served.client in scene.caught_in_shortage:
            allowed = QUIET_ENDS | {CAUSED}  # its worker began with the broker's limits
        if why not in allowed and not (CAUSED in allowed and why and not why.startswith("killed by")):
            raise CellFailed(f"the broker's log on the end of worker {served.worker}, of client {served.client}: {why}; allowed: {allowed}")


def allowed_ends(scene: Scene) -> set[str | None]:
    """Of the worker whose client the cell is about."""
    role, stage, kind = scene.cell
    if stage == "orphaned":
        return {UNSEEN} | (QUIET_ENDS if role == "client" else set())
    if stage == "adopted":
        return {SOME_SIGNAL}
    if role == "broker" and stage in ("hello", "reclaim") and kind == "kill":
        return QUIET_ENDS | {None, UNSEEN}  # it ends while there is no broker
    if role == "worker" and kind == "kill":
        return {KILLED} | (QUIET_ENDS if stage == "reclaim" else set())
    if role == "worker" and kind in ("files", "memory"):
        # A vendor's driver may crash without memory: that is its worker's end and nobody else's.
        return QUIET_ENDS | {CAUSED} | (set() if scene.settings.is_software else {SEGMENTATION, ABORTED})
    return QUIET_ENDS
