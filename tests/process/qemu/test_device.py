# SPDX-License-Identifier: Apache-2.0
"""test_device.py [--front built|preloaded] [--accel tcg|kvm]: what a guest would see of the PCI device in QEMU, and what
a broker makes of it.

No guest runs, so that KVM is of use even where it cannot run one: windows and doorbells are registered with it."""
import argparse
import os
import pathlib
import select
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "scripts" / "lib"))
from fake_broker import FakeBroker, Window  # noqa: E402
from installed import require_accel, require_front  # noqa: E402
from machine import BAR0, BAR1, SLOT, Machine, MachineFailed  # noqa: E402
from harness.processes import wait_until  # noqa: E402

MIB = 1 << 20
SIZE = 64 * MIB
ALL_ONES = 0xFFFFFFFF
# Registers of BAR0 (common/abi/device_registers.h).
POOL, PRIORITY, VM_ID = 0x008, 0x00C, 0x010
MAGIC, LAYOUT, LINK, GENERATION, CHANNELS, WINDOW = 0x1000, 0x1004, 0x100C, 0x1010, 0x1014, 0x1018
COMMAND, STATUS, ARGUMENT, RESULT, MISTAKES, LINK_TEXT = 0x1020, 0x1024, 0x1028, 0x102C, 0x1030, 0x1100
REQUEST, REPLY, PAGES = 0x2000, 0x3000, 0x80000
DOWN, UP = 0, 1
OPEN_COMMAND, BUSY, DONE = 1, 1, 2

arguments = argparse.ArgumentParser()
arguments.add_argument("--front", choices=("built", "preloaded"), default="built")
arguments.add_argument("--accel", choices=("tcg", "kvm"), default="tcg")
OPTIONS, REST = arguments.parse_known_args()
PROGRAM, ENVIRONMENT = require_front(OPTIONS.front)
require_accel(OPTIONS.accel)


class Device(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="vgpu-qemu-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.socket = self.folder / "s"

    def start(self, properties: str = "", machine: str = "q35") -> Machine:
        started = Machine(PROGRAM, ENVIRONMENT, self.folder, f"socket={self.socket},window-size=64M,{properties}".rstrip(","), machine, OPTIONS.accel)
        self.addCleanup(started.end)
        return started

    def serve(self) -> FakeBroker:
        broker = FakeBroker(self.socket)
        self.addCleanup(broker.close)
        return broker

    def window(self, text: bytes) -> Window:
        window = Window(SIZE, text)
        self.addCleanup(window.close)
        return window

    def joined(self, properties: str = "", machine: str = "q35") -> tuple[Machine, FakeBroker, Window]:
        broker, window = self.serve(), self.window(b"first")
        started = self.start(properties, machine)
        broker.await_hello()
        broker.link_up(SIZE, window)
        started.await_register(LINK, UP)
        return started, broker, window

    # ---- without a broker ---------------------------------------------------------------------------------------

    def test_identity(self):
        machine = self.start("pool_id=B,priority=high,vm_id=7")
        self.assertEqual(machine.config(0x00), 0x233010DE)
        self.assertEqual(machine.config(0x08), 0x12000002, "class and revision")
        self.assertEqual([machine.register(r) for r in (POOL, PRIORITY, VM_ID)], [ord("B"), 2, 7])
        self.assertEqual((machine.register(MAGIC), machine.register(LAYOUT)), (0x44504756, 1))
        self.assertEqual(machine.register(WINDOW), SIZE)
        self.assertIn("[vgpu-stub] realised  vm_id=7  pool=B  priority=high  rev=0x02\n", machine.log.read_text())

    def test_identity_can_be_chosen(self):
        machine = self.start("vendor-id=0x1234,device-id=0x5678,subsystem-vendor-id=0x9abc,subsystem-id=0xdef0,pool=B", "pc")
        self.assertEqual((machine.config(0x00), machine.config(0x2C)), (0x56781234, 0xDEF09ABC))
        self.assertEqual(machine.register(POOL), ord("B"))

    def test_bars(self):
        machine = self.start()
        for offset in (0x10, 0x14, 0x18):
            machine.set_config(offset, ALL_ONES)
        self.assertEqual(machine.config(0x10), ALL_ONES & ~(MIB - 1))
        self.assertEqual(machine.config(0x14), (ALL_ONES & ~(SIZE - 1)) | 0xC, "64 bits, prefetchable")
        self.assertEqual(machine.config(0x18), ALL_ONES)

    def test_placeholder(self):
        machine = self.start()
        self.assertEqual(machine.register(LINK), DOWN)
        for offset in (0, 1, SIZE - 8):
            machine.write(BAR1 + offset, 0x12345678)
            self.assertEqual(machine.read(BAR1 + offset), ALL_ONES)
        self.assertEqual(machine.read(BAR1, 8), (1 << 64) - 1)
        self.assertEqual(machine.read(BAR1 + 3, 1), 0xFF)

    def test_wrong_properties_are_explained(self):
        for properties, said in (("pool_id=C", "pool_id is A or B"), ("priority=huge", "low, medium or high"), ("window-size=100M", "power of two from 64 MiB"), ("channels=129", "at most 128")):
            with self.subTest(properties), self.assertRaisesRegex(MachineFailed, said):
                command = [str(PROGRAM), "-machine", "q35", "-accel", "tcg", "-display", "none", "-nodefaults", "-S", "-device", f"vgpu-stub,{properties}"]
                ended = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=20)
                self.assertEqual(ended.returncode, 1)
                raise MachineFailed(ended.stderr)

    def test_it_cannot_be_migrated(self):
        with self.assertRaisesRegex(MachineFailed, "vgpu-stub"):
            self.start().ask("migrate", uri="exec:cat >/dev/null")

    # ---- with one -----------------------------------------------------------------------------------------------

    def test_link_brings_the_window(self):
        broker, window = self.serve(), self.window(b"first")
        machine = self.start("pool_id=B,priority=low,vm_id=9,channels=16")
        hello, fds = broker.await_hello()
        self.assertEqual(hello, {"pool": "B", "priority": 0, "vm_id": 9, "window_size": SIZE, "channels": 16})
        self.assertEqual(fds, [])
        broker.link_up(SIZE, window, "lab")
        machine.await_register(LINK, UP)
        self.assertEqual(machine.read_bytes(BAR1, 5), b"first")
        machine.write_bytes(BAR1 + SIZE - 4, b"last")
        self.assertEqual(window.memory[-4:], b"last")
        self.assertEqual(machine.read_bytes(BAR0 + LINK_TEXT, 4), b"lab\0")
        self.assertEqual(machine.ask("qom-get", path="gpu", property="link"), "up")

    def test_broker_may_come_later(self):
        machine = self.start()
        self.assertEqual(machine.register(LINK), DOWN)
        broker, window = self.serve(), self.window(b"first")
        broker.await_hello()
        broker.link_up(SIZE, window)
        machine.await_register(LINK, UP)

    def test_window_can_move_in_the_guest(self):
        machine, _, _ = self.joined()
        machine.set_config(0x18, 0x9)
        self.assertEqual(machine.read_bytes((0x9 << 32) | BAR1 & ALL_ONES, 5), b"first")

    def test_window_stays_when_the_broker_ends(self):
        machine, broker, window = self.joined()
        broker.leave()
        machine.await_register(LINK, DOWN)
        machine.write_bytes(BAR1, b"still")
        self.assertEqual(window.memory[:5], b"still")
        _, fds = broker.await_hello()
        self.assertEqual(os.fstat(fds[0]).st_ino, os.fstat(window.fd).st_ino)
        os.close(fds[0])
        broker.link_up(SIZE, None)
        machine.await_register(LINK, UP)
        self.assertEqual(machine.register(GENERATION), 1)

    def test_reset_gives_the_window_back(self):
        machine, broker, window = self.joined()
        machine.ask("system_reset")
        self.assertTrue(broker.is_left())
        machine.map_bars()
        self.assertEqual(machine.read(BAR1), ALL_ONES)
        machine.write_bytes(BAR1, b"nobody")
        self.assertEqual(window.memory[:5], b"first")
        hello, fds = broker.await_hello()
        self.assertEqual(fds, [], "the window of the last life is not shown")
        broker.link_up(SIZE, self.window(b"second"))
        machine.await_register(LINK, UP)
        self.assertEqual(machine.read_bytes(BAR1, 6), b"second")
        self.assertEqual(machine.register(GENERATION), 2)

    def test_window_of_another_size_is_not_taken(self):
        broker = self.serve()
        machine = self.start()
        broker.await_hello()
        wrong = Window(SIZE // 2, b"wrong")
        self.addCleanup(wrong.close)
        broker.link_up(SIZE, wrong)
        self.assertTrue(broker.is_left())
        self.assertEqual((machine.register(LINK), machine.read(BAR1)), (DOWN, ALL_ONES))

    # ---- channels -----------------------------------------------------------------------------------------------

    def worker(self) -> subprocess.Popen:
        process = subprocess.Popen(["sleep", "600"])
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def open_channel(self, machine: Machine, broker: FakeBroker, worker: subprocess.Popen) -> tuple[int, int]:
        """Number and doorbell."""
        machine.write_bytes(BAR0 + REQUEST, b"hello of a client")
        machine.set_register(ARGUMENT, 4096)
        machine.set_register(COMMAND, OPEN_COMMAND)
        channel, hello = broker.await_open()
        self.assertEqual(hello[:17], b"hello of a client")
        self.assertEqual(machine.register(STATUS), BUSY)
        doorbell, pidfd = os.eventfd(0, os.EFD_NONBLOCK), os.pidfd_open(worker.pid)
        self.addCleanup(os.close, doorbell)
        broker.opened(channel, doorbell, pidfd, b"reply of the broker")
        os.close(pidfd)
        machine.await_register(STATUS, DONE)
        self.assertEqual(machine.register(RESULT), channel)
        self.assertEqual(machine.read_bytes(BAR0 + REPLY, 19), b"reply of the broker")
        return channel, doorbell

    def rings(self, doorbell: int, seconds: float = 10) -> int:
        return os.eventfd_read(doorbell) if select.select([doorbell], [], [], seconds)[0] else 0

    def test_doorbell(self):
        for properties in ("ioeventfd=on", "ioeventfd=off"):
            with self.subTest(properties):
                self.socket = self.folder / f"s.{properties[10:]}"
                machine, broker, _ = self.joined(properties)
                channel, doorbell = self.open_channel(machine, broker, self.worker())
                page = BAR0 + PAGES + 4096 * channel
                for size in (1, 2, 4, 8):
                    machine.write(page, size, size)
                    self.assertEqual(self.rings(doorbell), 1, f"{size} bytes")
                machine.write(page + 4096, 1)
                self.assertEqual(self.rings(doorbell, 0), 0, "another channel's")
                machine.ask("system_reset")
                self.assertTrue(broker.is_left())
                machine.map_bars()
                mistakes = machine.register(MISTAKES)
                machine.write(page, 1)
                self.assertEqual(machine.register(MISTAKES), mistakes + 1, "after the reset it is nobody's doorbell")
                self.assertEqual(self.rings(doorbell, 0), 0)
                machine.end()
                for name in ("qtest", "qmp"):
                    (self.folder / name).unlink()

    def test_every_channel_has_its_doorbell(self):
        machine, broker, _ = self.joined()
        worker = self.worker()
        doorbells = dict(self.open_channel(machine, broker, worker) for _ in range(machine.register(CHANNELS)))
        self.assertEqual(len(doorbells), 128)
        for channel in doorbells:
            machine.write(BAR0 + PAGES + 4096 * channel, 1)
        self.assertEqual([self.rings(doorbell) for doorbell in doorbells.values()], [1] * 128)

    def test_end_of_a_worker_without_a_broker_is_shown(self):
        machine, broker, _ = self.joined()
        worker = self.worker()
        channel, _ = self.open_channel(machine, broker, worker)
        broker.leave()
        machine.await_register(LINK, DOWN)
        worker.kill()
        machine.await_register(PAGES + 4096 * channel + 0x40, 3)

    # ---- hot-unplug ---------------------------------------------------------------------------------------------

    def test_unplugged_it_leaves_nothing(self):
        machine, broker, _ = self.joined(machine="pc")
        self.open_channel(machine, broker, self.worker())
        before = machine.address_space()
        machine.ask("device_del", id="gpu")
        machine.out32(0xAE10, 0)  # what the guest's ACPI does: bus 0, eject
        machine.out32(0xAE08, 1 << SLOT)
        machine.await_event("DEVICE_DELETED")
        self.assertTrue(broker.is_left())
        self.assertTrue(wait_until(lambda: before - machine.address_space() >= SIZE, 20), "BAR1's addresses are not given back")
        machine.ask("device_add", driver="vgpu-stub", id="gpu", addr=str(SLOT), socket=str(self.socket), **{"window-size": SIZE})
        _, fds = broker.await_hello()
        self.assertEqual(fds, [])


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *REST])
