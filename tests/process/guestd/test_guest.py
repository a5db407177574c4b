# SPDX-License-Identifier: Apache-2.0
"""test_guest.py BUILD: programs through vgpu-guestd and the device's core, as in a virtual machine but without one."""
import json
import os
import pathlib
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "scripts" / "lib"))
from harness.device_stage import BrokerWithVm, DeviceStage  # noqa: E402
from harness.layout import Layout  # noqa: E402
from harness.private_broker import SteadyClient  # noqa: E402
from harness.processes import is_alive, wait_until  # noqa: E402

LAYOUT = Layout(pathlib.Path(sys.argv.pop(1)))
SECONDS = 60
RIGHT = "demo: all results are right"


class Guest(unittest.TestCase):
    def setUp(self):
        self.broker = self.enterContext(BrokerWithVm(LAYOUT, "sim"))
        self.stage = self.enterContext(DeviceStage(LAYOUT, self.broker))
        self.program = LAYOUT.program("demo_driver")

    def steady(self) -> SteadyClient:
        return self.enterContext(SteadyClient(self.program, self.stage.environment(), SECONDS))

    def check_demo(self):
        done = subprocess.run([self.program], env=self.stage.environment(), capture_output=True, text=True, timeout=SECONDS)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        self.assertEqual(done.stdout.splitlines()[-1], RIGHT)

    def vgpu_guest(self, *arguments: str) -> subprocess.CompletedProcess:
        """vgpu-guest, shown the device as sysfs would show it; its registers there are a file with the magic."""
        folder = self.broker.folder / "pci" / "0000:00:05.0"
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in {"vendor": "0x10de", "device": "0x2330", "class": "0x120000", "revision": "0x02", "enable": "1"}.items():
            (folder / name).write_text(text + "\n")
        with (folder / "resource0").open("wb") as bar0:
            bar0.truncate(1 << 20)
            bar0.seek(0x1000)
            bar0.write(b"VGPD" + (1).to_bytes(4, "little"))
        (folder / "resource1").write_bytes(bytes(4096))
        command = [LAYOUT.program("vgpu-guest"), *arguments, "--socket", self.stage.socket, "--pci-root", folder.parent]
        environment = self.stage.environment()
        del environment["VGPU_SOCKET"]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS)

    def await_workers(self, count: int):
        self.assertTrue(wait_until(lambda: len(self.broker.workers()) == count, 10), f"{self.broker.workers()}, not {count}")

    def test_one_program_after_another(self):
        self.check_demo()
        self.await_workers(0)
        self.check_demo()

    def test_programs_at_once_have_channels_of_their_own(self):
        first, second = self.steady(), self.steady()
        self.await_workers(2)
        self.assertEqual((first.first_answer, second.first_answer), ("right", "right"))
        self.assertEqual(first.finish(), (0, ""))
        self.await_workers(1)
        self.assertEqual(second.ask(), "right")

    def test_killed_program_leaves_nothing(self):
        client = self.steady()
        os.kill(client.pid, 9)
        self.await_workers(0)
        self.check_demo()

    def test_killed_worker_is_an_error_not_a_hang(self):
        client = self.steady()
        os.kill(self.broker.workers()[0], 9)
        self.assertTrue(client.ask().startswith("CUDA_ERROR_"))
        self.assertEqual(client.ask(), "CUDA_ERROR_LAUNCH_FAILED")
        self.check_demo()

    def test_programs_outlive_guestd(self):
        client = self.steady()
        other = self.steady()
        os.kill(other.pid, 9)
        self.stage.say("guestd")
        self.await_workers(1)
        self.assertEqual(client.ask(), "right")
        self.check_demo()
        self.assertEqual(client.finish(), (0, ""))
        self.await_workers(0)

    def test_programs_outlive_a_broker_that_crashes(self):
        client = self.steady()
        self.broker.kill()
        self.assertEqual(client.ask(), "right")
        self.broker.start_again()
        self.assertEqual(client.ask(), "right")
        self.assertTrue(wait_until(lambda: "took back" in self.broker.log_tail(), 10), self.broker.log_tail())
        self.check_demo()
        self.assertEqual(client.finish(), (0, ""))

    def test_reset_takes_all(self):
        client = self.steady()
        self.stage.say("reset")
        self.await_workers(0)
        self.assertTrue(client.ask().startswith("CUDA_ERROR_"))
        self.check_demo()

    def test_status_names_who_has_which_channel(self):
        client = self.steady()
        done = self.vgpu_guest("status", "--json")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        status = json.loads(done.stdout)
        self.assertEqual((status["link"], status["link_text"], status["window_size"]), ("up", "a", 1 << 30))
        self.assertEqual([(c["state"], c["pid"], c["name"]) for c in status["channels"]], [("open", client.pid, "demo_driver")])

    def test_doctor_finds_a_machine_well(self):
        # The device seeks its broker from its own start on.
        self.assertTrue(wait_until(lambda: self.vgpu_guest("status").returncode == 0, SECONDS), "the link does not come up")
        done = self.vgpu_guest("doctor", "--json")
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        found = json.loads(done.stdout)
        self.assertEqual([f["what"] for f in found["findings"]][-6:], ["link", "broker", "library", "driver", "memory", "bandwidth"])
        self.assertEqual({f["outcome"] for f in found["findings"]}, {"PASS"})

    def test_doctor_names_the_broken_link(self):
        self.broker.stop()
        self.assertTrue(wait_until(lambda: self.vgpu_guest("status").returncode == 1, 10))
        done = self.vgpu_guest("doctor")
        self.assertEqual(done.returncode, 1)
        self.assertIn("FAIL  link", done.stdout)
        self.assertIn("remedy: on the host: start vgpu-broker", done.stdout)
        self.assertNotIn("driver", done.stdout)

    def test_self_test_tells_a_doorbell_that_nobody_hears(self):
        done = self.vgpu_guest("self-test")  # the file that stands for the registers does nothing
        self.assertEqual(done.returncode, 1)
        self.assertIn("FAIL  legacy    STATUS stayed IDLE", done.stdout)
        self.assertIn("PASS  memory", done.stdout)

    def test_without_a_broker_the_program_is_told_why(self):
        self.broker.stop()
        done = subprocess.run([self.program], env=self.stage.environment(), capture_output=True, text=True, timeout=SECONDS)
        self.assertEqual(done.returncode, 1)
        self.assertIn("link to the broker on the host is down", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
