# SPDX-License-Identifier: Apache-2.0
"""An sshd in a root, on a loopback port of its own and with keys made for it, for as long as a with-block lasts."""
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

from .root import ENVIRONMENT, Root

START_SECONDS = 20


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class SshServer:
    def __init__(self, root: Root):
        self.root = root
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="vgpu-ssh-"))
        self.config = self.folder / "config"
        self._process: subprocess.Popen | None = None

    def __enter__(self) -> "SshServer":
        for key in ("host_key", "user_key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / key)], check=True, timeout=60)
        port = free_port()
        self.root.write("root/.ssh/authorized_keys", (self.folder / "user_key.pub").read_text(), 0o600)
        self.root.write("etc/ssh/test_host_key", (self.folder / "host_key").read_text(), 0o600)
        (self.root / "run/sshd").mkdir(mode=0o755, exist_ok=True)
        host_key = " ".join((self.folder / "host_key.pub").read_text().split()[:2])
        (self.folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key}\n")
        # "host" and "guest" are this one machine.
        self.config.write_text(
            f"Host host guest\n  HostName 127.0.0.1\n  Port {port}\n  User root\n  IdentityFile {self.folder}/user_key\n  IdentitiesOnly yes\n"
            f"  UserKnownHostsFile {self.folder}/known_hosts\n  GlobalKnownHostsFile /dev/null\n"
            f"Host nobody\n  HostName 127.0.0.1\n  Port 1\n"
        )
        options = [f"ListenAddress=127.0.0.1:{port}", "HostKey=/etc/ssh/test_host_key", "UsePAM=no", "StrictModes=no", "PermitRootLogin=prohibit-password", "PidFile=none"]
        command = ["chroot", str(self.root.path), "/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null"] + [word for option in options for word in ("-o", option)]
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(command, env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._await(port)
        return self

    def _await(self, port: int) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise AssertionError("sshd does not listen:\n" + (self.folder / "log").read_text())

    def __exit__(self, *_) -> None:
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
