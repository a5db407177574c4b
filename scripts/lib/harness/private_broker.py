# SPDX-License-Identifier: Apache-2.0
"""A broker of our own on a private socket, for as long as a with-block lasts, and programs that run through it."""
import os
import pathlib
import re
import selectors
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from .layout import Layout, native_environment, remoted_environment
from .processes import children_of, is_alive, wait_until

# A worker's environment is its own, so a sanitizer's report of it comes out in the broker's log and nowhere else.
SANITIZER_REPORT = re.compile(r"(ERROR|WARNING): (Address|Leak|Thread|UndefinedBehavior)Sanitizer|: runtime error: ")

START_SECONDS = 30
STOP_SECONDS = 15


class BrokerFailed(Exception):
    """The broker did not start, or did not stop as it should; the text holds the end of its log."""


class PrivateBroker:
    def __init__(self, layout: Layout, driver: str = "auto", keep_in: pathlib.Path | None = None, settings: str = "", sim_devices: int = 1):
        """keep_in: where the broker's log is to stay; otherwise everything is removed at the end. settings: lines of TOML. An empty
        driver: the settings' one. sim_devices: how many the software GPU has."""
        layout.require()
        self.layout = layout
        self.driver = driver
        self.settings = settings
        self.sim_devices = sim_devices
        # Short on purpose: a socket's path has room for 107 bytes.
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="vgpu-"))
        self.socket = self.folder / "broker.sock"
        self.log = (keep_in or self.folder) / "broker.log"
        self.pass_fds: tuple[int, ...] = ()  # descriptors that the broker inherits
        self.exit_status: int | None = None
        self._process: subprocess.Popen | None = None
        self._orphans: list[int] = []  # workers of brokers that were killed

    # ---- life of the broker -------------------------------------------------------------------------------------

    def __enter__(self) -> "PrivateBroker":
        try:
            self._start()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, kind, *_) -> None:
        try:
            self.stop()
        except BrokerFailed:
            if kind is None:
                raise
        finally:
            self._remove()

    @property
    def pid(self) -> int:
        return self._process.pid

    def command(self) -> list[str]:
        program, settings = self.layout.program("vgpu-broker"), self.folder / "broker.toml"
        return [str(program), "--config", str(settings), "--socket", str(self.socket), *(["--driver", self.driver] if self.driver else [])]

    def _start(self) -> None:
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        with notify, self.log.open("ab") as log:
            # Settings of our own, and none: an installed broker's are not for us.
            (self.folder / "broker.toml").write_text(self.settings)
            (self.folder / "notify.sock").unlink(missing_ok=True)
            notify.bind(str(self.folder / "notify.sock"))
            environment = native_environment() | {"NOTIFY_SOCKET": str(self.folder / "notify.sock"), "VGPU_SIM_DEVICES": str(self.sim_devices)}
            self._process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, cwd="/", pass_fds=self.pass_fds)
            self._await_ready(notify)

    def _await_ready(self, notify: socket.socket) -> None:
        """The broker says READY=1 as a service does."""
        deadline = time.monotonic() + START_SECONDS
        notify.settimeout(0.2)
        while time.monotonic() < deadline:
            try:
                if b"READY=1" in notify.recv(4096):
                    return
            except TimeoutError:
                pass
            if self._process.poll() is not None:
                raise BrokerFailed(f"the broker ended at once with status {self._process.returncode}:\n{self.log_tail()}")
        self._process.kill()
        self._process.wait()
        raise BrokerFailed(f"the broker was not ready after {START_SECONDS} s:\n{self.log_tail()}")

    def open_to_everybody(self) -> None:
        """Lets other users of this machine in, for programs that become one."""
        self.folder.chmod(0o711)
        self.socket.chmod(0o666)

    def stop(self) -> int:
        """Ends the broker; raises if it had to be killed, or if a worker outlives it and its client."""
        if self.exit_status is not None:
            return self.exit_status
        workers = sorted({*self.workers(), *self.legacy_workers(), *self._orphans})
        self._process.send_signal(signal.SIGTERM)
        try:
            self.exit_status = self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self.exit_status = self._process.wait()
            raise BrokerFailed(f"the broker did not stop within {STOP_SECONDS} s of SIGTERM:\n{self.log_tail()}") from None
        finally:
            left = [pid for pid in workers if not wait_until(lambda pid=pid: not is_alive(pid), STOP_SECONDS)]
            for pid in left:
                os.kill(pid, signal.SIGKILL)
        if left:
            raise BrokerFailed(f"worker {left[0]} outlived its broker and its client by {STOP_SECONDS} s:\n{self.log_tail()}")
        if self.exit_status != 0:
            raise BrokerFailed(f"the broker ended with status {self.exit_status}:\n{self.log_tail()}")
        if SANITIZER_REPORT.search(self.log_tail(lines=100_000)):
            raise BrokerFailed(f"a sanitizer reports on broker or worker:\n{self.log_tail(lines=200)}")
        return self.exit_status

    def kill(self) -> None:
        """As a crash does: nothing is tidied up, workers and clients go on."""
        self._orphans = sorted(set(self._orphans) | set(self.workers()))
        self._process.kill()
        self._process.wait()

    def step_down(self) -> None:
        """As a stop of the service does: it ends by itself, workers and clients go on."""
        self._orphans = sorted(set(self._orphans) | set(self.workers()))
        self._process.send_signal(signal.SIGQUIT)
        try:
            status = self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise BrokerFailed(f"the broker did not step down within {STOP_SECONDS} s:\n{self.log_tail()}") from None
        if status != 0:
            raise BrokerFailed(f"the broker stepped down with status {status}:\n{self.log_tail()}")

    def start_again(self) -> None:
        """After kill() or step_down(): another broker in its place."""
        self._start()

    def accounts(self) -> dict[str, int]:
        """What the broker counts, by its own word."""
        seen = len(self._account_lines())
        self._process.send_signal(signal.SIGUSR1)
        if not wait_until(lambda: len(self._account_lines()) > seen, STOP_SECONDS):
            raise BrokerFailed(f"the broker does not say its accounts:\n{self.log_tail()}")
        return {name: int(number) for name, number in re.findall(r"(\w+) (\d+)", self._account_lines()[-1])}

    def await_accounts(self, **expected: int) -> dict[str, int]:
        """Waits until the accounts named have these values; raises if they do not come to."""
        found: dict[str, int] = {}

        def as_expected() -> bool:
            found.update(self.accounts())
            return all(found[name] == number for name, number in expected.items())

        if not wait_until(as_expected, STOP_SECONDS):
            raise BrokerFailed(f"the broker's accounts are {found}, not {expected}:\n{self.log_tail()}")
        return found

    def _account_lines(self) -> list[str]:
        return re.findall(r"accounts: (.*)", self.log.read_text(errors="replace"))

    def _remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def log_tail(self, lines: int = 30) -> str:
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except FileNotFoundError:
            return "(no log)"

    # ---- what runs through it -----------------------------------------------------------------------------------

    def workers(self) -> list[int]:
        """Those of clients."""
        return [pid for pid in children_of(self.pid) if not is_legacy_worker(pid)]

    def legacy_workers(self) -> list[int]:
        """Those of VMs, for legacy requests: they stay for a minute after the last one."""
        return [pid for pid in children_of(self.pid) if is_legacy_worker(pid)]

    def environment(self, by: str = "path") -> dict[str, str]:
        return remoted_environment(self.layout, self.socket, by)

    def run(self, command: list, timeout: float, by: str = "path") -> subprocess.CompletedProcess:
        """Runs a program to its end; subprocess.TimeoutExpired if it does not come."""
        return subprocess.run([str(c) for c in command], env=self.environment(by), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, errors="replace")


def is_legacy_worker(pid: int) -> bool:
    try:
        return b"--legacy" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return False


class SteadyClient:
    """demo_driver --steady: computes once at its start and once for every ask(), and is idle in between."""

    def __init__(self, program: pathlib.Path, environment: dict[str, str], timeout: float = 60):
        self.timeout = timeout
        self._process = subprocess.Popen([str(program), "--steady"], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self._unread = b""
        self.device = self._read_line().removeprefix("device: ")
        self.first_answer = self._read_line()

    def __enter__(self) -> "SteadyClient":
        return self

    def __exit__(self, *_) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self) -> str:
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()
        return self._read_line()

    def finish(self) -> tuple[int, str]:
        """Exit status and everything on standard error."""
        _, errors = self._process.communicate(timeout=self.timeout)
        return self._process.returncode, errors.decode(errors="replace")

    def _read_line(self) -> str:
        """A line within the time limit; empty at the end of output."""
        deadline = time.monotonic() + self.timeout
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._unread:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise TimeoutError(f"no answer from {self._process.args[0]} (pid {self.pid}) within {self.timeout} s")
                chunk = os.read(self._process.stdout.fileno(), 4096)
                if not chunk:
                    break
                self._unread += chunk
        line, _, self._unread = self._unread.partition(b"\n")
        return line.decode(errors="replace")
