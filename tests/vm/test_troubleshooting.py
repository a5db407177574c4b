# SPDX-License-Identifier: Apache-2.0
"""Entries of docs/operations.md's troubleshooting table that take a machine: brought about in a guest, and cured as they stand there."""
import os
import re
import signal
import subprocess

import bench

SECONDS = 90
STATUS, BUSY = 1, 1  # of the legacy page: place and value
# Of the kernel's drivers the one that claims whatever it is bound to, and asks no questions.
CLAIMING_MODULE, CLAIMING_DRIVER = "i6300esb", "i6300ESB timer"


class Entry(bench.VmTest):
    def setUp(self):
        self.broker = self.enterContext(bench.vm_broker("one"))

    # ---- what the table tells to run --------------------------------------------------------------------------------

    def ask(self, guest: bench.Guest, *words: str) -> tuple[int, str]:
        """Exit code and words of vgpu-guest."""
        said = guest.run(["vgpu-guest", *words], SECONDS, user=0)
        return said.status, said.stdout + said.stderr

    def check_says(self, guest: bench.Guest, what: str, *texts: str) -> str:
        """It finds something broken, and names it so."""
        status, said = self.ask(guest, *what.split())
        self.assertEqual(status, 1, said)
        for text in texts:
            self.assertIn(text, said)
        return said

    def check_well(self, guest: bench.Guest) -> None:
        for what in ("self-test", "doctor"):
            status, said = self.ask(guest, what)
            self.assertEqual(status, 0, said)
            self.assertNotIn("FAIL", said)

    def check_sum(self, guest: bench.Guest) -> None:
        self.assertEqual(self.ask(guest, "add", "100", "200"), (0, "[RESPONSE] Received: 300\nResult: 100 + 200 = 300\n"))

    def host_doctor(self) -> str:
        words = ["doctor", "one", "--config", self.broker.folder / "broker.toml", "--socket", f"{self.broker.socket}.admin"]
        return subprocess.run([bench.LAYOUT.program("vgpu-admin"), *words], capture_output=True, text=True, timeout=SECONDS).stdout


class OldHost(Entry):
    """A QEMU whose vgpu-stub is one of the field's. The machine's name at the broker stays, whatever its host has."""

    def old_guest(self, kind: str) -> bench.Guest:
        guest = bench.old_guest(self.broker, "one", kind)
        self.guests = (guest,)
        return guest

    def check_upgraded(self) -> None:
        """The device of part 1 on the host, and the machine started again."""
        with bench.vgpu_guest(self.broker.device("one"), "one") as guest:
            self.guests = (guest,)
            self.check_well(guest)
            self.check_sum(guest)

    def test_a_device_without_registers(self):
        with self.old_guest("bare") as guest:
            self.check_says(guest, "doctor", "FAIL  revision  0x01", "install the newer device on the host")
            self.check_says(guest, "self-test", "revision 0x01, which has no registers")
            self.assertEqual(guest.run(["vgpu-guestd"], SECONDS, user=0).status, 1)
            self.assertRegex(self.host_doctor(), r"FAIL  vm .*has the device, but no link\n.*revision 0x01")
        self.check_upgraded()

    def test_a_doorbell_that_is_never_dispatched(self):
        with self.old_guest("deaf") as guest:
            self.check_says(guest, "self-test", "FAIL  legacy    STATUS stayed IDLE", "install the newer device on the host")
            self.check_says(guest, "add 100 200", "[ERROR] STATUS stayed IDLE")
        self.check_upgraded()

    def test_a_device_that_knows_no_deadline(self):
        with self.old_guest("patient") as guest:
            self.check_sum(guest)
            os.kill(self.broker.pid, signal.SIGSTOP)
            self.check_says(guest, "self-test", "FAIL  legacy    STATUS stuck BUSY", "restart the mediator")
            self.broker.kill()
            self.broker.start_again()
            registers = guest.check(["vgpu-vm-legacy", "--registers"], user=0).stdout.split()
            self.assertEqual(int(registers[STATUS], 16), BUSY, "it sees that there is another")
        with self.old_guest("patient") as guest:
            self.check_sum(guest)
            self.check_says(guest, "self-test", "PASS  legacy    [RESPONSE] Received: 300")
            self.check_says(guest, "doctor", "this vgpu-stub serves legacy requests only")


class HeldDevice(Entry):
    def test_a_driver_that_holds_the_device(self):
        guest = self.enterContext(bench.sharing_guest(self.broker.device("one"), "one"))
        self.guests = (guest,)
        guest.guestd.kill(signal.SIGTERM)
        guest.guestd.wait(SECONDS)
        bench.load_module(guest, CLAIMING_MODULE)
        self.bind(guest, CLAIMING_DRIVER)

        self.check_says(guest, "self-test", "no device to ask", f'the driver "{CLAIMING_DRIVER}" of this machine\'s kernel holds the device')
        refused = guest.run(["vgpu-guestd"], SECONDS, user=0)
        self.assertEqual(refused.status, 1)
        self.assertIn(f'the driver "{CLAIMING_DRIVER}"', refused.stderr)
        said = self.check_says(guest, "doctor", f'FAIL  registers held by the driver "{CLAIMING_DRIVER}"')
        remedy = re.search(r"remedy: as root: (echo \S+ >\S+); then systemctl start vgpu-guestd\n", said)
        self.assertTrue(remedy, said)

        guest.check(["sh", "-c", remedy[1]], user=0)
        guest.equip()
        self.check_well(guest)

    def bind(self, guest: bench.Guest, driver: str) -> None:
        address = re.search(r"device +(\S+) \(10de:2330\)", self.ask(guest, "doctor")[1])[1]
        override = f"echo '{driver}' >/sys/bus/pci/devices/{address}/driver_override"
        guest.check(["sh", "-c", f"{override} && echo {address} >'/sys/bus/pci/drivers/{driver}/bind'"], user=0)


if __name__ == "__main__":
    bench.main()
