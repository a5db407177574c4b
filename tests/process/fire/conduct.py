# SPDX-License-Identifier: Apache-2.0
"""One cell from its beginning to its end."""
from cells import ABSENT
from harness.processes import is_alive
from judge import check_ends
from own_cases import OWN_CASES
from product import WAYS, Recovery
from scene import Scene
from talker import CellFailed


def conduct(scene: Scene) -> Recovery:
    act = OWN_CASES.get(scene.cell) or WAYS[scene.cell.kind, scene.cell.role]
    if scene.cell == ABSENT:
        return act(scene)
    scene.open()
    scene.bring_to_stage()
    recovery = act(scene)
    end_child(scene)
    scene.close()
    check_ends(scene)
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
