# SPDX-License-Identifier: Apache-2.0
"""Cases of their own beside the product of roles, stages and kinds."""
import os
import signal
import time

import leftovers
from cells import ABSENT, ADOPTED, FORKED, ORPHANED_CLIENT, ORPHANED_WORKER, RELAUNCHED
from harness.processes import is_alive
from injections import send
from judge import expect_end, expect_right, expect_sticky_error
from product import Recovery, await_reclaim, kill_client
from scene import Scene
from talker import CellFailed

# A client without a broker gives up after two seconds; and its start takes a little.
ABSENT_SECONDS = 2.5
PEER_STATUS_OFFSET = 0x100  # vgpu_control.peer_status
CANARY_OFFSET = 0x500000  # in the heap of the window
CANARY = b"a dead client's memory"


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


def orphaned_client(scene: Scene) -> Recovery:
    """Client killed while there is no broker: its worker ends by itself; the next broker knows of neither."""
    scene.broker.kill()
    begun = time.monotonic()
    send(scene.client.pid, signal.SIGKILL)
    scene.clock.until(lambda: not is_alive(scene.worker), "the worker to end by itself")
    recovery = Recovery(time.monotonic() - begun, "worker gone")
    scene.check_neighbour()
    scene.broker.start_again()
    await_taken_back(scene, {scene.neighbour.pid})
    return recovery


def orphaned_worker(scene: Scene) -> Recovery:
    """Worker killed while there is no broker: its client is told nevertheless."""
    scene.broker.kill()
    begun = time.monotonic()
    send(scene.worker, signal.SIGKILL)
    told = expect_sticky_error(scene.client, True)
    scene.check_neighbour()
    scene.broker.start_again()
    await_taken_back(scene, {scene.neighbour.pid})
    return Recovery(told - begun, "error")


def adopted_worker(scene: Scene) -> Recovery:
    """Worker killed after another broker took it back: all is as with its first broker."""
    scene.broker.kill()
    scene.broker.start_again()
    await_taken_back(scene, {scene.neighbour.pid, scene.client.pid})
    begun = time.monotonic()
    send(scene.worker, signal.SIGKILL)
    told = expect_sticky_error(scene.client, True)
    accounts = await_reclaim(scene, begun)
    return Recovery(max(told - begun, accounts.seconds), "error")


def relaunched(scene: Scene) -> Recovery:
    """SIGUSR2, twice: the same process, with everybody it had."""
    before = scene.broker.pid
    living = {scene.neighbour.pid, scene.client.pid}
    for times in (1, 2):
        begun = time.monotonic()
        send(scene.broker.pid, signal.SIGUSR2)
        scene.clock.until(lambda: all(scene.broker.taken_back().count(pid) == times for pid in living), "the broker to take back its clients")
        scene.await_accounts(lambda a: a["clients"] == a["places"] == a["workers"] == len(living), "accounts of both clients")
        recovery = Recovery(time.monotonic() - begun, "taken back")
        scene.check_neighbour()
    if scene.broker.status is not None or scene.broker.pid != before:
        raise CellFailed("the relaunched broker is not the same process")
    scene.client.poke()
    expect_right(scene.client)
    return recovery


def await_taken_back(scene: Scene, living: set[int]) -> None:
    scene.clock.until(lambda: set(scene.broker.taken_back()) >= living, "the next broker to take clients back")
    scene.await_accounts(lambda a: a["clients"] == a["places"] == a["workers"] == len(living), f"accounts of {len(living)} client(s)")


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


OWN_CASES = {
    FORKED: forked,
    ORPHANED_CLIENT: orphaned_client,
    ORPHANED_WORKER: orphaned_worker,
    ADOPTED: adopted_worker,
    RELAUNCHED: relaunched,
    ABSENT: without_broker,
}
