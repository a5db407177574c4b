# SPDX-License-Identifier: Apache-2.0
"""A Linux guest under QEMU for as long as a with-block lasts.

    with Guest(image, distribution()) as guest:
        result = guest.run(["demo_driver"])
        assert "all results are right" in result.stdout

Without hardware virtualisation: instructions are translated, so it runs anywhere, some ten times slower.
"""
import ctypes
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import tempfile
import time

from harness.processes import activity_of, wait_until

from .delegate import Delegate, GuestFailed, GuestProcess, Result
from .image import USER, Image
from .machine import Device, OldDevice, Qemu
from .qmp import Qmp, QmpFailed

BOOT_SECONDS = 90
CALL_SECONDS = 30
STOP_SECONDS = 10
CONSOLE_LINES = 20
END_BYTES = 1 << 16

KERNEL_COMMAND_LINE = "console=ttyS0 quiet loglevel=4 mitigations=off random.trust_cpu=on tsc=reliable no_timer_check rdinit=/init"
PR_SET_PDEATHSIG = 1


class Guest:
    def __init__(self, image: Image, qemu: Qemu, device: Device | OldDevice | None = None, *, name: str = "guest", processors: int = 2,
                 memory_mb: int = 512, cpu: str = "max", share: pathlib.Path | None = None, keep_in: pathlib.Path | None = None):
        """share: a folder of this machine that the guest can mount (9p, tag "share"), and only read; an image with the
        SHARING kernel can. keep_in: where console and QEMU's own messages are to stay; otherwise everything is removed
        at the end."""
        self.name = name
        self.image = image
        self.qemu = qemu
        self.device = device
        # Short on purpose: a socket's path has room for 107 bytes.
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="vgpu-vm-"))
        self.console = (keep_in or self.folder) / f"{name}.console"
        self.messages = (keep_in or self.folder) / f"{name}.qemu"
        self.share = share
        self.boot_seconds = self.life_seconds = self.cpu_seconds = 0.0
        self._shape = ["-cpu", cpu, "-smp", str(processors), "-m", f"{memory_mb}M"]
        self._console_of_life = 0  # where this life's begins in the file
        self._process: subprocess.Popen | None = None
        self._delegate: Delegate | None = None
        self._qmp: Qmp | None = None

    # ---- its life -----------------------------------------------------------------------------------------------

    def __enter__(self) -> "Guest":
        self.launch()
        try:
            self.await_up()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_) -> None:
        self._end()

    def launch(self) -> None:
        """Starts QEMU and returns; await_up() waits for the guest. Not from a thread that ends before the guest: QEMU
        dies with the thread that started it, so that a bench that is killed leaves none behind."""
        self._begun = self._launched = time.monotonic()
        library = ctypes.CDLL(None)
        for left in (self.console, self.messages):  # of a guest of this name before us
            left.unlink(missing_ok=True)
        with self.messages.open("ab") as messages:
            self._process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=messages, stderr=messages, cwd="/",
                                             env=self.qemu.settings(), preexec_fn=lambda: library.prctl(PR_SET_PDEATHSIG, signal.SIGKILL))

    def command(self) -> list[str]:
        def unix_socket(name: str) -> str:
            return f"{self.folder / name},server=on,wait=off"

        return [str(self.qemu.binary), "-name", self.name, "-machine", "pc", "-accel", "tcg,thread=multi", *self._shape, "-no-user-config", "-nodefaults",
                "-display", "none", "-serial", f"file:{self.console}", "-qmp", f"unix:{unix_socket('qmp')}",
                "-kernel", str(self.image.kernel), "-initrd", str(self.image.initrd), "-append", KERNEL_COMMAND_LINE,
                "-device", "virtio-serial-pci", "-chardev", f"socket,id=delegate,path={unix_socket('delegate')}",
                "-device", "virtserialport,chardev=delegate,name=vgpu.delegate", *self._share_arguments(),
                *(self.device.arguments() if self.device else [])]

    def _share_arguments(self) -> list[str]:
        if not self.share:
            return []
        # Files of several file systems below it: their inode numbers may clash.
        return ["-fsdev", f"local,id=share,path={self.share},security_model=none,readonly=on,multidevs=remap",
                "-device", "virtio-9p-pci,fsdev=share,mount_tag=share"]

    def await_up(self, timeout: float = BOOT_SECONDS) -> None:
        """Until the guest obeys."""
        both = [self.folder / "qmp", self.folder / "delegate"]
        if not wait_until(lambda: all(p.exists() for p in both) or self._obituary(), STOP_SECONDS) or self._obituary():
            raise self.failure(f"QEMU did not start: {self._obituary() or 'it made no control socket'}")
        try:
            self._qmp = self._qmp or Qmp(self.folder / "qmp", CALL_SECONDS)
            self._connect()
        except (QmpFailed, OSError) as error:
            raise self.failure(f"QEMU cannot be spoken to: {self._obituary() or error}") from None
        self._delegate.await_ready(timeout)
        self.boot_seconds = time.monotonic() - self._begun

    def reset(self, timeout: float = BOOT_SECONDS) -> None:
        """As the reset button does: the guest boots again in the same QEMU. Its programs are gone."""
        self._begun = time.monotonic()
        self._delegate.close()  # what is under way to or from the old life must not reach the new one
        self.press_reset()
        self._console_of_life = self.console.stat().st_size
        self._connect()
        self._delegate.await_ready(timeout)
        self.boot_seconds = time.monotonic() - self._begun

    def press_reset(self) -> None:
        """Only that: the guest begins to boot, and nobody waits for it."""
        self._qmp.forget_events()
        self._qmp.execute("system_reset")
        self._qmp.await_event("RESET")

    def pause(self) -> None:
        """No instruction of the guest is executed until resume()."""
        self._qmp.execute("stop")

    def resume(self) -> None:
        self._qmp.execute("cont")

    def kill(self) -> None:
        """As if QEMU had crashed."""
        self._note_cost()
        self._process.kill()
        self._process.wait()

    @property
    def qemu_pid(self) -> int:
        return self._process.pid

    @property
    def boot_id(self) -> str:
        return self._delegate.boot_id

    def _connect(self) -> None:
        self._delegate = Delegate(self.name, self.folder / "delegate", self._obituary, self.failure)

    def _note_cost(self) -> None:
        self.life_seconds = time.monotonic() - self._launched
        self.cpu_seconds = activity_of(self._process.pid).cpu_seconds

    def _end(self) -> None:
        try:
            if self._process and self._process.poll() is None:
                self._note_cost()
                self._quit()
        finally:
            if self._process and self._process.poll() is None:
                self.kill()
            for part in (self._delegate, self._qmp):
                if part:
                    part.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    def _quit(self) -> None:
        try:
            if self._qmp:
                self._qmp.execute("quit")
                self._process.wait(STOP_SECONDS)
        except (QmpFailed, OSError, subprocess.TimeoutExpired):
            pass  # it is killed instead

    # ---- what runs in it ----------------------------------------------------------------------------------------

    def start(self, words: list, *, user: int = USER, settings: dict[str, str] | None = None) -> GuestProcess:
        """Returns when the program runs, or raises. user 0 is root."""
        return self._delegate.start([str(w) for w in words], user, settings or {}, CALL_SECONDS)

    def run(self, words: list, timeout: float = 60, *, user: int = USER, settings: dict[str, str] | None = None, content: bytes = b"") -> Result:
        """Runs a program to its end; `content` is its standard input. A program that takes too long is killed."""
        process = self.start(words, user=user, settings=settings)
        if content:
            process.write(content)
        process.close_input()
        try:
            return process.wait(timeout)
        except GuestFailed:
            if self.is_running:
                process.kill()
            raise

    def check(self, words: list, timeout: float = 60, **options) -> Result:
        """run(), where anything but status 0 is an error."""
        result = self.run(words, timeout, **options)
        if result.status != 0:
            raise self.failure(f"'{shlex.join(map(str, words))}' ended with status {result.status}:\n{result.stdout[-4000:]}{result.stderr[-4000:]}")
        return result

    def put(self, path: str, content: bytes, mode: int = 0o644) -> None:
        self.check(["sh", "-c", 'cat >"$1" && chmod "$2" "$1"', "put", path, f"{mode:o}"], user=0, content=content)

    def get(self, path: str) -> str:
        return self.check(["cat", path], user=0).stdout

    # ---- what it says -------------------------------------------------------------------------------------------

    @property
    def is_running(self) -> bool:
        return not self._obituary()

    def console_tail(self, lines: int = CONSOLE_LINES) -> str:
        return "\n".join(self._text(self.console).splitlines()[-lines:])

    def messages_tail(self, lines: int = CONSOLE_LINES) -> str:
        """What QEMU itself said."""
        return "\n".join(self._text(self.messages).splitlines()[-lines:])

    def failure(self, text: str) -> GuestFailed:
        parts = [text, f"console of guest {self.name}, last lines:", self.console_tail() or "(nothing)"]
        if self.messages_tail():
            parts += ["QEMU's own messages:", self.messages_tail()]
        return GuestFailed("\n".join(parts))

    def _obituary(self) -> str:
        """Why the guest can answer no more; empty while it can."""
        if self._process is None:
            return "it was not started"
        if self._process.poll() is not None:
            return f"QEMU has ended with status {self._process.returncode}"
        if "Kernel panic" in self._text(self.console, self._console_of_life):
            return "its kernel panicked"
        return ""

    @staticmethod
    def _text(path: pathlib.Path, begin: int = 0) -> str:
        """The end of a file that another process writes."""
        try:
            with path.open("rb") as file:
                file.seek(max(begin, path.stat().st_size - END_BYTES))
                return file.read().decode(errors="replace")
        except FileNotFoundError:
            return ""
