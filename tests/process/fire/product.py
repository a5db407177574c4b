# SPDX-License-Identifier: Apache-2.0
"""What is done to a role by each kind of injection, and what must come of it, in every stage."""
import pathlib
import signal
import socket
import time
from typing import NamedTuple

from harness.processes import is_alive
from injections import Shortage, freeze, send, thaw
from judge import expect_end, expect_order, expect_right, expect_sticky_error
from scene import Scene
from talker import CellFailed

# How long a process stays stopped, or short of something, at least.
HOLD_SECONDS = 0.3
STOPS_CALLING = {"idle", "capture"}  # stages that do not by themselves notice the end of their worker


class Recovery(NamedTuple):
    seconds: float
    until: str  # what it was measured to


# ---- SIGKILL ----------------------------------------------------------------------------------------------------


def kill_client(scene: Scene) -> Recovery:
    """Its worker ends, and its accounts are cleared."""
    begun = kill(scene)
    if scene.cell.stage == "reclaim":
        scene.clock.until(lambda: not is_alive(scene.child), "the killed child to end")
    elif scene.client.await_end() != -signal.SIGKILL:
        raise CellFailed(f"the killed client ended with status {scene.client.status}")
    if scene.cell.stage == "hello":
        scene.clock.until(lambda: f" {scene.client.pid}" in scene.broker.text(), "the broker to see the dead client's hello")
    return await_reclaim(scene, begun)


def kill_worker(scene: Scene) -> Recovery:
    """The client gets one error for ever, and ends by itself."""
    begun = kill(scene)
    if scene.cell.stage == "reclaim":
        return await_reclaim(scene, begun)
    if scene.cell.stage in STOPS_CALLING:
        begun = time.monotonic()
        scene.client.poke()
    told = expect_sticky_error(scene.client, scene.cell.stage != "hello")
    accounts = await_reclaim(scene, begun)
    return Recovery(max(told - begun, accounts.seconds), "error")


def kill_broker(scene: Scene) -> Recovery:
    """Programs go on without it; the next one takes them back and counts them."""
    if scene.broker.pid in scene.frozen:
        scene.frozen.remove(scene.broker.pid)
    scene.broker.kill()
    scene.check_neighbour()
    begun = time.monotonic()
    scene.broker.start_again()
    living = {scene.neighbour.pid} | (set() if scene.cell.stage in ("hello", "reclaim") else {scene.client.pid})
    scene.clock.until(lambda: set(scene.broker.taken_back()) >= living, lambda: f"the broker to take back the clients {living}; it has {scene.broker.taken_back()}")
    if scene.cell.stage != "hello":
        scene.await_accounts(lambda a: a["clients"] == a["places"] == a["workers"] == len(living), f"accounts of {len(living)} clients")
    recovery = Recovery(time.monotonic() - begun, "taken back")
    if scene.cell.stage != "reclaim":
        scene.client.poke()
        expect_right(scene.client)
    visitor = scene.start("visit", "visitor")
    expect_right(visitor)
    return recovery


def kill(scene: Scene) -> float:
    begun = time.monotonic()
    send(scene.target, signal.SIGKILL)
    scene.thaw_all_but(scene.target)
    return begun


def await_reclaim(scene: Scene, begun: float) -> Recovery:
    scene.await_accounts(lambda a: a == scene.alone, f"accounts as without the client, {scene.alone}")
    if scene.worker and is_alive(scene.worker):
        raise CellFailed(f"the accounts are cleared, but worker {scene.worker} lives")
    return Recovery(time.monotonic() - begun, "accounts")


# ---- SIGSTOP, then SIGCONT --------------------------------------------------------------------------------------


def stop(scene: Scene) -> Recovery:
    """Nobody else is disturbed meanwhile, and afterwards everything is right."""
    target = scene.target
    freeze(target)
    begun = time.monotonic()
    scene.thaw_all_but(target)
    scene.check_neighbour()
    if scene.cell.stage == "reclaim" and scene.cell.role != "broker":
        recovery = await_reclaim(scene, begun)  # that it is stopped saves nothing
        thaw(target)
        return recovery
    time.sleep(HOLD_SECONDS)  # the stop itself
    begun = time.monotonic()
    thaw(target)
    if scene.cell.stage == "reclaim":
        return await_reclaim(scene, begun)
    if scene.cell.role == "broker" and scene.cell.stage != "hello":
        scene.await_accounts(lambda a: a["clients"] == a["workers"] == 2, "accounts of two clients")
        recovery = Recovery(time.monotonic() - begun, "accounts")
        scene.client.poke()
        expect_right(scene.client)
        return recovery
    scene.client.poke()
    return Recovery(expect_right(scene.client) - begun, "right")


# ---- no descriptors, no memory ----------------------------------------------------------------------------------


def exhaust_one(scene: Scene) -> Recovery:
    """A client or its worker: CUDA errors, or an end in order; never a hang, a crash, or wrong results."""
    Shortage(scene.target, scene.cell.kind)
    scene.thaw_all_but(0)
    begun = time.monotonic()
    scene.check_neighbour()
    if scene.cell.stage == "reclaim":
        return await_reclaim(scene, begun)
    if scene.cell.stage != "hello":  # which goes on by itself
        begun = time.monotonic()
        scene.client.poke()
    when, verdict = expect_order(scene.client)
    return Recovery(when - begun, verdict.partition(" first")[0])


class Crowd:
    """Connections that say nothing: each takes the broker a descriptor and some of what its heap has left."""

    SIZE = 50  # with the cell's clients, below what one user may have

    def __init__(self, path: pathlib.Path):
        self.sockets = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) for _ in range(self.SIZE)]
        for connection in self.sockets:
            connection.connect_ex(str(path))

    def __enter__(self) -> "Crowd":
        return self

    def __exit__(self, *_) -> None:
        for connection in self.sockets:
            connection.close()


def exhaust_broker(scene: Scene) -> Recovery:
    """A client that comes meanwhile may be refused; the others go on, and afterwards everybody is served."""
    shortage = Shortage(scene.broker.pid, scene.cell.kind)
    scene.thaw_all_but(0)
    with Crowd(scene.broker.socket):
        unlucky = scene.start("visit", "unlucky")
        scene.check_neighbour()
        time.sleep(HOLD_SECONDS)  # the shortage itself
        note = start_again_if_ended(scene) or shortage.lift() or ""
    begun = time.monotonic()
    visitor = scene.start("visit", "visitor")
    scene.clock.until(lambda: scene.broker.worker_of(visitor.pid), "the broker to serve again")
    seconds = time.monotonic() - begun
    expect_right(visitor)
    _, verdict = expect_order(unlucky)
    if scene.cell.stage == "hello":
        expect_order(scene.client)
    elif scene.cell.stage != "reclaim":
        scene.client.poke()
        expect_right(scene.client)
    return Recovery(seconds, f"served{note} (a client meanwhile: {verdict.partition(' first')[0]})")


def start_again_if_ended(scene: Scene) -> str:
    """A broker that cannot go on may end in order: a service is started again, and takes everybody back."""
    status = scene.broker.status
    if status is None:
        return ""
    if status < 0:
        raise CellFailed(f"the broker was ended by signal {-status}")
    scene.broker.kill()
    scene.broker.start_again()
    return " after a new start"


WAYS = {
    ("kill", "client"): kill_client,
    ("kill", "worker"): kill_worker,
    ("kill", "broker"): kill_broker,
    **{("stop", role): stop for role in ("client", "worker", "broker")},
    **{(kind, role): exhaust_one for kind in ("files", "memory") for role in ("client", "worker")},
    **{(kind, "broker"): exhaust_broker for kind in ("files", "memory")},
}
