# SPDX-License-Identifier: Apache-2.0
"""A broker of our own that serves virtual machines."""
import pathlib
import signal

from harness.layout import Layout
from harness.private_broker import STOP_SECONDS, PrivateBroker

from .machine import Device

SETTINGS = """[vm.{name}]
socket = "{socket}"
"""


class VmBroker(PrivateBroker):
    def __init__(self, layout: Layout, names: tuple[str, ...], driver: str = "sim", keep_in: pathlib.Path | None = None, more: str = "",
                 of_broker: str = ""):
        """more: lines of each VM's section; of_broker: lines of [broker]."""
        super().__init__(layout, driver, keep_in)
        self.names = names
        self.settings = f"[broker]\n{of_broker}\n" + "\n".join(SETTINGS.format(name=name, socket=self.socket_of(name)) + more + "\n" for name in names)

    def socket_of(self, name: str) -> pathlib.Path:
        return self.folder / f"{name}.vm"

    def device(self, name: str, **options) -> Device:
        """What QEMU is told for this VM."""
        return Device(self.socket_of(name), vm_id=self.names.index(name) + 1, **options)

    def end(self) -> None:
        """As the service's stop does: everything is taken back. start_again() may follow."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(STOP_SECONDS)

    def line_count(self, about: str) -> int:
        return sum(about in line for line in self.log.read_text(errors="replace").splitlines())
