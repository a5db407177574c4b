# SPDX-License-Identifier: Apache-2.0
"""A guest without a machine: vgpu-guestd on the device's core (vgpu-test-guest-stage), linked to a broker of our own. Programs
reach their worker through hello, mailbox and pieces of a VM's window, as in a virtual machine."""
import pathlib
import subprocess

from .layout import Layout, remoted_environment
from .private_broker import PrivateBroker

SECONDS = 60


class BrokerWithVm(PrivateBroker):
    """A broker that has the VM "a"."""

    @property
    def vm_socket(self) -> pathlib.Path:
        return self.folder / "vm-a.sock"

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.settings = f'[vm.a]\nsocket = "{self.vm_socket}"\n'


class DeviceStage:
    """vgpu-test-guest-stage while a with-block lasts. `log` has what device and daemon say."""

    def __init__(self, layout: Layout, broker: BrokerWithVm):
        self._layout = layout
        self.socket = broker.folder / "guestd.sock"
        command = [layout.program("vgpu-test-guest-stage"), broker.vm_socket, broker.folder]
        self.log = (broker.folder / "stage.log").open("w+b")
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True)
        assert self._process.stdout.readline() == "ready\n"

    def __enter__(self) -> "DeviceStage":
        return self

    def __exit__(self, *_) -> None:
        self._process.stdin.close()
        self._process.wait(SECONDS)
        self._process.stdout.close()
        self.log.close()

    def say(self, what: str) -> None:
        self._process.stdin.write(what + "\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "done\n"

    def environment(self) -> dict[str, str]:
        return remoted_environment(self._layout, self.socket)
