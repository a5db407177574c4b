# SPDX-License-Identifier: Apache-2.0
"""A QEMU whose guest never runs: its bus is driven by the qtest protocol, its machine by QMP."""
import json
import pathlib
import socket
import subprocess
import time

SECONDS = 20
CONFIG_ADDRESS, CONFIG_DATA = 0xCF8, 0xCFC
BAR0, BAR1 = 0xE0000000, 0x800000000
SLOT = 5


class MachineFailed(Exception):
    """QEMU said no, or nothing in time."""


class Peer:
    """A stream of lines, QEMU being the one that connects."""

    def __init__(self, path: pathlib.Path):
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(1)
        self._listener.settimeout(0.1)
        self._socket: socket.socket | None = None

    def accept(self, process: subprocess.Popen) -> None:
        deadline = time.monotonic() + SECONDS
        while not self._socket:
            try:
                self._socket, _ = self._listener.accept()
            except TimeoutError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise MachineFailed("QEMU does not connect") from None
        self._socket.settimeout(SECONDS)
        self._lines = self._socket.makefile("r")

    def send(self, text: str) -> None:
        self._socket.sendall(text.encode() + b"\n")

    def line(self) -> str:
        line = self._lines.readline()
        if not line:
            raise MachineFailed("QEMU has ended")
        return line.strip()

    def close(self) -> None:
        if self._socket:
            self._lines.close()
            self._socket.close()
        self._listener.close()


class Machine:
    def __init__(self, program: pathlib.Path, environment: dict[str, str], folder: pathlib.Path, device: str, machine: str, accel: str):
        """device: the properties behind "vgpu-stub,"; the device gets its BARs and is ready for use."""
        self.log = folder / "qemu.log"
        self._qtest, self._qmp = Peer(folder / "qtest"), Peer(folder / "qmp")
        command = [str(program), "-machine", machine, "-accel", accel, "-S", "-display", "none", "-nodefaults", "-m", "64M"]
        command += ["-qtest", f"unix:{folder}/qtest", "-qtest-log", "/dev/null", "-qmp", f"unix:{folder}/qmp"]
        command += ["-device", f"vgpu-stub,id=gpu,addr={SLOT},{device}"]
        self._events: list[str] = []
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stderr=log)
        try:
            self._qtest.accept(self.process)
            self._qmp.accept(self.process)
            self._qmp.line()  # its greeting
            self.ask("qmp_capabilities")
        except (OSError, MachineFailed) as error:
            self.end()
            raise MachineFailed(f"QEMU did not start ({error}): {self.log.read_text()}") from error
        self.map_bars()

    def __enter__(self) -> "Machine":
        return self

    def __exit__(self, *_) -> None:
        self.end()

    def end(self) -> None:
        if self.process.returncode is not None:
            return
        self.process.kill()
        self.process.wait(SECONDS)
        self._qtest.close()
        self._qmp.close()

    # ---- QMP ----------------------------------------------------------------------------------------------------

    def ask(self, command: str, **arguments):
        self._qmp.send(json.dumps({"execute": command, "arguments": arguments}))
        while True:
            answer = json.loads(self._qmp.line())
            if "error" in answer:
                raise MachineFailed(f"{command}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]
            self._events.append(answer["event"])

    def await_event(self, name: str) -> None:
        while name not in self._events:
            self._events.append(json.loads(self._qmp.line()).get("event", ""))
        self._events.remove(name)

    # ---- the bus ------------------------------------------------------------------------------------------------

    def _do(self, command: str) -> str:
        self._qtest.send(command)
        while True:
            line = self._qtest.line()
            if line.startswith("IRQ"):
                continue
            if not line.startswith("OK"):
                raise MachineFailed(f"{command}: {line}")
            return line[2:].strip()

    def out32(self, port: int, value: int) -> None:
        self._do(f"outl {port:#x} {value:#x}")

    def read(self, address: int, size: int = 4) -> int:
        return int(self._do(f"read{'bwlq'[size.bit_length() - 1]} {address:#x}"), 16)

    def write(self, address: int, value: int, size: int = 4) -> None:
        self._do(f"write{'bwlq'[size.bit_length() - 1]} {address:#x} {value:#x}")

    def read_bytes(self, address: int, size: int) -> bytes:
        return bytes.fromhex(self._do(f"read {address:#x} {size:#x}")[2:])

    def write_bytes(self, address: int, data: bytes) -> None:
        self._do(f"write {address:#x} {len(data):#x} 0x{data.hex()}")

    def config(self, offset: int) -> int:
        self.out32(CONFIG_ADDRESS, 0x80000000 | SLOT << 11 | offset)
        return int(self._do(f"inl {CONFIG_DATA:#x}"), 16)

    def set_config(self, offset: int, value: int) -> None:
        self.out32(CONFIG_ADDRESS, 0x80000000 | SLOT << 11 | offset)
        self.out32(CONFIG_DATA, value)

    def map_bars(self) -> None:
        """What firmware does; a reset undoes it."""
        self.set_config(0x10, BAR0)
        self.set_config(0x14, BAR1 & 0xFFFFFFFF)
        self.set_config(0x18, BAR1 >> 32)
        self.set_config(0x04, 0x2)

    def register(self, offset: int) -> int:
        return self.read(BAR0 + offset)

    def set_register(self, offset: int, value: int) -> None:
        self.write(BAR0 + offset, value)

    def address_space(self) -> int:
        """Bytes of addresses that the process has in use."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmSize:")[1].split()[0]) << 10

    def await_register(self, offset: int, value: int) -> None:
        deadline = time.monotonic() + SECONDS
        while (found := self.register(offset)) != value:
            if time.monotonic() > deadline:
                raise MachineFailed(f"register {offset:#x} is {found:#x} and does not become {value:#x}: {self.log.read_text()}")
            time.sleep(0.01)
