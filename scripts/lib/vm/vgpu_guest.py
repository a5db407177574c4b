# SPDX-License-Identifier: Apache-2.0
"""A guest with our device and our daemon in it, as the guest package sets it up."""
from harness.processes import wait_until

from .delegate import GuestProcess
from .guest import CALL_SECONDS, Guest

READY = "listening on "
LINK_UP = "[cuda-transport] Connected to VGPU-STUB"


class VgpuGuest(Guest):
    """vgpu-guestd runs in it from the start; link_is_awaited: as soon as it is up, programs can compute."""

    guestd: GuestProcess

    def __init__(self, *arguments, link_is_awaited: bool = True, **options):
        super().__init__(*arguments, **options)
        self._link_is_awaited = link_is_awaited

    def await_up(self, *arguments) -> None:
        super().await_up(*arguments)
        self.equip()

    def reset(self, *arguments) -> None:
        super().reset(*arguments)
        self.equip()

    def equip(self) -> None:
        self.start_guestd()
        if self._link_is_awaited:
            self.await_link()

    def start_guestd(self) -> None:
        self.guestd = self.start(["vgpu-guestd"], user=0)
        self.guestd.wait_for(READY, CALL_SECONDS)

    def link_ups(self) -> int:
        """That this guestd has seen."""
        return self.guestd.stderr.count(LINK_UP) + self.guestd.stdout.count(LINK_UP)

    def await_link(self, times: int = 1, timeout: float = CALL_SECONDS) -> None:
        if not wait_until(lambda: self.link_ups() >= times or not self.guestd.is_running, timeout) or not self.guestd.is_running:
            raise self.failure(f"the link of guest {self.name} did not come up within {timeout} s; vgpu-guestd said:\n{self.guestd.stderr[-2000:]}")

    def await_link_now(self, timeout: float = CALL_SECONDS) -> None:
        """Whatever happened to it before. A device that was left without an answer asks again after 2 s."""
        if not wait_until(lambda: self.run(["vgpu-guest", "status"]).status == 0, timeout):
            raise self.failure(f"the link of guest {self.name} is not up after {timeout} s; vgpu-guestd said:\n{self.guestd.stderr[-2000:]}")
