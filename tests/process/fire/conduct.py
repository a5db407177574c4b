# SPDX-License-Identifier: Apache-2.0
"""What is done in each cell, and what must come of it."""
import os
import re
import signal
import time
from typing import NamedTuple

import leftovers
from cells import ABSENT, FORKED
from harness.processes import is_alive
from injections import Shortage, freeze, send, thaw
from scene import Scene
from talker import CellFailed, Talker

# How long a process stays stopped, or short of something, at least.
HOLD_SECONDS = 0.3
# A client without a broker gives up after two seconds; and its start takes a little.
ABSENT_SECONDS = 2.5
PEER_STATUS_OFFSET = 0x100  # vgpu_control.peer_status
CANARY_OFFSET = 0x500000  # in the heap of the window
CANARY = b"a dead client's memory"

STICKY = re.compile(r"error (\w+) first, every later call \1$")
STOPS_CALLING = {"idle", "capture"}  # stages that do not by themselves notice the end of their worker
QUIET_ENDS = {"clean", "client gone"}
UNSEEN = "ended while no broker served"
CAUSED = "a class of its own"  # any end in order
KILLED, SEGMENTATION, ABORTED = "killed by signal 9 (kill)", "killed by signal 11 (segmentation fault)", "killed by signal 6 (abort)"


class Recovery(NamedTuple):
    seconds: float
    until: str


def conduct(scene: Scene) -> Recovery:
    if scene.cell == ABSENT:
        return without_broker(scene)
    scene.open()
    scene.bring_to_stage()
    recovery = forked(scene) if scene.cell == FORKED else WAYS[scene.cell.kind, scene.cell.role](scene)
    end_child(scene)
    scene.close()
    check_ends(scene)
    return recovery


# ---- SIGKILL ----------------------------------------------------------------------------------------------------


def kill_client(scene: Scene) -> Recovery:
    """Its worker ends, and its accounts are cleared."""
    begun = kill(scene)
    if scene.cell.stage != "reclaim" and scene.client.await_end() != -signal.SIGKILL:
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
    told, _ = scene.client.await_line("error ")
    _, verdict = scene.client.verdict()
    # Without a successful cuInit the driver's own answer to every later call is another.
    if not STICKY.match(verdict) and not (scene.cell.stage == "hello" and verdict.endswith("every later call CUDA_ERROR_NOT_INITIALIZED")):
        raise CellFailed(f"the client's verdict without its worker: {verdict}")
    expect_end(scene.client, {2})
    if len(scene.client.errors()) != 1:
        raise CellFailed(f"not one line on standard error: {scene.client.errors()}")
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
    return Recovery(expect_order(scene.client) - begun, "verdict")


def exhaust_broker(scene: Scene) -> Recovery:
    """A client that comes meanwhile may be refused; the others go on, and afterwards everybody is served."""
    shortage = Shortage(scene.broker.pid, scene.cell.kind)
    scene.thaw_all_but(0)
    unlucky = scene.start("visit", "unlucky")
    scene.check_neighbour()
    time.sleep(HOLD_SECONDS)  # the shortage itself
    shortage.lift()
    begun = time.monotonic()
    visitor = scene.start("visit", "visitor")
    scene.clock.until(lambda: scene.broker.worker_of(visitor.pid), "the broker to serve again")
    recovery = Recovery(time.monotonic() - begun, "served")
    expect_right(visitor)
    expect_order(unlucky)
    if scene.cell.stage == "hello":
        expect_order(scene.client)
    elif scene.cell.stage != "reclaim":
        scene.client.poke()
        expect_right(scene.client)
    return recovery


WAYS = {
    ("kill", "client"): kill_client,
    ("kill", "worker"): kill_worker,
    ("kill", "broker"): kill_broker,
    **{("stop", role): stop for role in ("client", "worker", "broker")},
    **{(kind, role): exhaust_one for kind in ("files", "memory") for role in ("client", "worker")},
    **{(kind, "broker"): exhaust_broker for kind in ("files", "memory")},
}


# ---- cases of their own -----------------------------------------------------------------------------------------


def forked(scene: Scene) -> Recovery:
    """The killed client's child holds the window: it is revoked, and nobody else gets that memory while it is held."""
    before = leftovers.windows_of(scene.child)
    path = next(f"/proc/{scene.child}/fd/{n}" for n in os.listdir(f"/proc/{scene.child}/fd") if "memfd:vgpu-window" in os.readlink(f"/proc/{scene.child}/fd/{n}"))
    window = os.open(path, os.O_RDWR)
    try:
        os.pwrite(window, CANARY, CANARY_OFFSET)
        recovery = kill_client(scene)
        if os.pread(window, 4, PEER_STATUS_OFFSET) == bytes(4):
            raise CellFailed("the dead client's window does not say that it is revoked")
        visitor = scene.start("idle", "visitor")
        visitor.await_line("at idle")
        if leftovers.windows_of(visitor.pid) & before or not is_alive(scene.child):
            raise CellFailed("a new client has the window that the dead one's child still holds")
        visitor.poke()
        expect_right(visitor)
        if os.pread(window, len(CANARY), CANARY_OFFSET) != CANARY:
            raise CellFailed("the window that the dead client's child holds was written to")
    finally:
        os.close(window)
    return recovery


def end_child(scene: Scene) -> None:
    """The forked child is alone; CUDA answers it as it answers every forked child."""
    if not scene.child or not is_alive(scene.child):
        return
    scene.client.await_line("alone")
    scene.client.poke()
    _, line = scene.client.await_line("child: ")
    if line != "child: CUDA_ERROR_NOT_INITIALIZED":
        raise CellFailed(f"the forked child's call gave {line.removeprefix('child: ')}")
    scene.clock.until(lambda: not is_alive(scene.child), "the forked child to end")


def without_broker(scene: Scene) -> Recovery:
    """cuInit fails soon, with one line that names the sockets tried."""
    folder = scene.broker.folder
    ways = {f"{folder}/none.sock": {"VGPU_SOCKET": f"{folder}/none.sock"}}
    if not os.path.exists("/run/vgpu"):
        ways["/run/vgpu/"] = {"XDG_RUNTIME_DIR": str(folder)}
    slowest = 0.0
    for number, (named, settings) in enumerate(ways.items()):
        environment = {k: v for k, v in scene.broker.environment().items() if k != "VGPU_SOCKET"} | settings
        client = scene.start("visit", f"lonely-{number}", environment)
        told, error = client.await_line("error ")
        slowest = max(slowest, told - client.begun)
        expect_end(client, {2})
        sockets = [named] + ([str(folder)] if "XDG_RUNTIME_DIR" in settings else [])
        if error != "error CUDA_ERROR_NO_DEVICE in init" or len(client.errors()) != 1 or not all(s in client.errors()[0] for s in sockets):
            raise CellFailed(f"without a broker: {error}; standard error: {client.errors()}")
    if slowest > ABSENT_SECONDS:
        raise CellFailed(f"without a broker cuInit took {slowest:.1f} s")
    return Recovery(slowest, "error")


# ---- what a client says at its end ------------------------------------------------------------------------------


def expect_end(client: Talker, statuses: set[int]) -> None:
    if client.await_end() not in statuses:
        raise CellFailed(f"{client.name} ended with status {client.status}")


def expect_right(client: Talker) -> float:
    """When it said so."""
    when, verdict = client.verdict()
    expect_end(client, {0, 2, 3})
    if verdict != "right" or client.status != 0 or client.errors():
        raise CellFailed(f"{client.name}: {verdict}; {' '.join(client.errors())}")
    return when


def expect_order(client: Talker) -> float:
    """Right, or CUDA errors; and an end in order."""
    when, verdict = client.verdict()
    expect_end(client, {0, 2})
    if verdict != "right" and not verdict.startswith("error CUDA_ERROR_"):
        raise CellFailed(f"{client.name}: {verdict}")
    return when


# ---- what the broker says of the workers ------------------------------------------------------------------------


def check_ends(scene: Scene) -> None:
    """Every worker's end is in the broker's log, and of the right class."""
    ends = scene.broker.ends()
    for served in scene.broker.served():
        why = ends.get(served.worker)
        allowed = allowed_ends(scene) if served.worker == scene.worker else QUIET_ENDS
        if why not in allowed and not (CAUSED in allowed and why and not why.startswith("killed by")):
            raise CellFailed(f"the broker's log on the end of worker {served.worker}, of client {served.client}: {why}; allowed: {allowed}")


def allowed_ends(scene: Scene) -> set[str | None]:
    """Of the worker whose client the cell is about."""
    role, stage, kind = scene.cell
    if role == "broker" and stage in ("hello", "reclaim") and kind == "kill":
        return QUIET_ENDS | {None, UNSEEN}  # it ends while there is no broker
    if role == "worker" and kind == "kill":
        return {KILLED} | (QUIET_ENDS if stage == "reclaim" else set())
    if role == "worker" and kind in ("files", "memory"):
        # A vendor's driver may crash without memory: that is its worker's end and nobody else's.
        return QUIET_ENDS | {CAUSED} | (set() if scene.settings.is_software else {SEGMENTATION, ABORTED})
    return QUIET_ENDS
