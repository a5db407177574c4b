# SPDX-License-Identifier: Apache-2.0
"""vgpu-admin against a broker of our own."""
import json
import shutil
import subprocess

from .device_stage import BrokerWithVm

SECONDS = 60


class AdministeredBroker(BrokerWithVm):
    """A broker that has the VM "a", and vgpu-admin for it. of_broker: lines of [broker]."""

    def __init__(self, layout, driver: str = "sim", of_broker: str = "", sim_devices: int = 1):
        super().__init__(layout, driver, sim_devices=sim_devices)
        self.of_vm = self.settings
        self.configure(of_broker, self.of_vm)

    def configure(self, of_broker: str, of_vm: str) -> None:
        """For the next start or relaunch."""
        self.settings = f"[broker]\n{of_broker}\n{of_vm}"
        self.config.write_text(self.settings)

    @property
    def config(self):
        return self.folder / "broker.toml"

    @property
    def admin_socket(self):
        return self.folder / "broker.sock.admin"

    def admin(self, *arguments, **how) -> subprocess.CompletedProcess:
        program = self.layout.program("vgpu-admin")
        if "user" in how:  # who may not look into where we were built
            program = shutil.copy(program, self.folder)
        command = [program, *arguments, "--config", self.config, "--socket", self.admin_socket]
        return subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS, **how)

    def ask(self, *arguments) -> dict:
        """What it answers as JSON; an error if it is refused."""
        done = self.admin(*arguments, "--json")
        if done.returncode != 0:
            raise AssertionError(f"vgpu-admin {arguments} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return json.loads(done.stdout)

    def list(self, what: str) -> list[dict]:
        return self.ask("list", what)[what]
