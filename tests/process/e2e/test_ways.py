# SPDX-License-Identifier: Apache-2.0
"""test_ways.py BUILD: the ways in which a program comes to the shim, and the shim to a broker."""
import os
import pathlib
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "scripts" / "lib"))
from harness.layout import Layout, remoted_environment  # noqa: E402
from harness.private_broker import PrivateBroker, SteadyClient  # noqa: E402
from harness.processes import is_alive, wait_until  # noqa: E402

LAYOUT = Layout(pathlib.Path(sys.argv.pop(1)))
SECONDS = 60
RIGHT = "demo: all results are right"
# A sanitizer's run-time library must be the first in a process, before what is preloaded.
SANITIZED = "VGPU_TEST_SANITIZED" in os.environ


class Ways(unittest.TestCase):
    def setUp(self):
        self.broker = self.enterContext(PrivateBroker(LAYOUT, "sim"))
        self.program = LAYOUT.program("demo_driver")

    def check_demo(self, by: str):
        done = self.broker.run([self.program], SECONDS, by)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        self.assertEqual(done.stdout.splitlines()[-1], RIGHT)

    def test_library_path(self):
        self.check_demo("path")

    @unittest.skipIf(SANITIZED, "a sanitizer's library must come before what is preloaded")
    def test_preload(self):
        self.check_demo("preload")

    def test_each_client_has_a_worker_of_its_own(self):
        environment = self.broker.environment()
        with SteadyClient(self.program, environment, SECONDS) as first, SteadyClient(self.program, environment, SECONDS) as second:
            workers = self.broker.workers()
            self.assertEqual(len(workers), 2)
            self.assertEqual((first.first_answer, second.first_answer), ("right", "right"))
            self.assertEqual(first.finish(), (0, ""))
            self.assertTrue(wait_until(lambda: len(self.broker.workers()) == 1, 10), "the ended client's worker stays")
            self.assertEqual(second.ask(), "right")
            self.assertEqual(second.finish(), (0, ""))
        self.assertTrue(wait_until(lambda: not any(map(is_alive, workers)), 10), "a worker stays after its client's end")

    def check_sharing(self, *words: str, **variables: str):
        environment = self.broker.environment() | variables
        done = subprocess.run([LAYOUT.program("share_pair"), *words], env=environment, capture_output=True, text=True, timeout=SECONDS)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "share: all results are right\n", ""))

    def test_two_processes_share_memory(self):
        self.check_sharing()

    def test_memory_of_the_second_gpu_is_shared(self):
        self.broker = self.enterContext(PrivateBroker(LAYOUT, "sim", sim_devices=2))
        self.check_sharing(CUDA_VISIBLE_DEVICES="1")

    @unittest.skipUnless(os.geteuid() == 0, "becoming another user takes root")
    def test_another_user_opens_nothing(self):
        self.broker.open_to_everybody()
        self.check_sharing("--stranger", "65534")

    def test_killed_client_leaves_nothing(self):
        with SteadyClient(self.program, self.broker.environment(), SECONDS) as client:
            workers = self.broker.workers()
            self.assertEqual(len(workers), 1)
            os.kill(client.pid, 9)
        self.assertTrue(wait_until(lambda: not is_alive(workers[0]), 10), "the worker of a killed client stays")
        self.check_demo("path")

    def test_killed_worker_is_an_error_not_a_hang(self):
        with SteadyClient(self.program, self.broker.environment(), SECONDS) as client:
            os.kill(self.broker.workers()[0], 9)
            self.assertTrue(client.ask().startswith("CUDA_ERROR_"))
            self.assertEqual(client.ask(), "CUDA_ERROR_LAUNCH_FAILED")
            status, _ = client.finish()
            self.assertEqual(status, 1)
        self.check_demo("path")


class WithoutBroker(unittest.TestCase):
    def test_it_says_so_and_ends(self):
        environment = remoted_environment(LAYOUT, pathlib.Path("/nonexistent/broker.sock"))
        done = subprocess.run([LAYOUT.program("demo_driver")], env=environment, capture_output=True, text=True, timeout=SECONDS)
        self.assertEqual(done.returncode, 1)
        self.assertIn("cannot start: error", done.stderr)

    @unittest.skipIf(SANITIZED, "a sanitizer's library must come before what is loaded")
    def test_what_is_not_supported_says_why_once(self):
        environment = remoted_environment(LAYOUT, pathlib.Path("/nonexistent/broker.sock"))
        call_thrice = "import ctypes; cuda = ctypes.CDLL('libcuda.so.1'); print(cuda.cuMemAllocManaged(), cuda.cuMemAllocManaged(), cuda.cuMulticastCreate())"
        done = subprocess.run([sys.executable, "-c", call_thrice], env=environment, capture_output=True, text=True, timeout=SECONDS)
        self.assertEqual(done.stdout, "801 801 801\n")
        managed, multicast = done.stderr.splitlines()
        self.assertRegex(managed, r"cuMemAllocManaged is not supported: .*page faults.*\(said once\)$")
        self.assertRegex(multicast, r"cuMulticastCreate is not supported: .*several GPUs.*\(said once\)$")


if __name__ == "__main__":
    unittest.main(verbosity=2)
