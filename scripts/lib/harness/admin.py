# SPDX-License-Identifier: Apache-2.0
"""vgpu-admin against a broker of our own."""
import json
import subprocess

from .device_stage import BrokerWithVm

SECONDS = 60


class AdministeredBroker(BrokerWithVm):
    """A broker that has the VM "a", and vgpu-admin for it. settings: more lines of [broker]."""

    def __init__(self, layout, driver: str = "sim", settings: str = ""):
        super().__init__(layout, driver)
        self.settings = settings

    @property
    def admin_socket(self):
        return self.folder / "broker.sock.admin"

    def command(self) -> list[str]:
        command = super().command()
        config = self.folder / "broker.toml"
        config.write_text(f"[broker]\n{self.settings}\n" + config.read_text())
        return command

    def admin(self, *arguments, **how) -> subprocess.CompletedProcess:
        command = [self.layout.program("vgpu-admin"), *arguments, "--config", self.folder / "broker.toml", "--socket", self.admin_socket]
        return subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS, **how)

    def ask(self, *arguments) -> dict:
        """What it answers as JSON; an error if it is refused."""
        done = self.admin(*arguments, "--json")
        if done.returncode != 0:
            raise AssertionError(f"vgpu-admin {arguments} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return json.loads(done.stdout)

    def list(self, what: str) -> list[dict]:
        return self.ask("list", what)[what]
