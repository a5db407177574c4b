# SPDX-License-Identifier: Apache-2.0
"""test_requests.py BUILD: what administrators ask of a broker, and have it do; who may; and what it counts."""
import grp
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tarfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "scripts" / "lib"))
from harness.admin import AdministeredBroker  # noqa: E402
from harness.layout import Layout  # noqa: E402
from harness.private_broker import SteadyClient  # noqa: E402
from harness.processes import wait_until  # noqa: E402

LAYOUT = Layout(pathlib.Path(sys.argv.pop(1)).resolve())
SECONDS = 30
VM = f"uid-{os.geteuid()}"  # ours, as a user of this host
STRANGER = 54321
GRAPH_BYTES = 8 << 20

# A client that makes a graph which allocates, on its second device, and stays until it is told to end.
MAKE_ALLOCATING_GRAPH = f"""
import ctypes
cuda = ctypes.CDLL("libcuda.so.1")
context, stream, graph, memory = (ctypes.c_void_p() for _ in range(4))
for result in (cuda.cuInit(0), cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), 1), cuda.cuCtxSetCurrent(context),
               cuda.cuStreamCreate(ctypes.byref(stream), 1), cuda.cuStreamBeginCapture_v2(stream, 0),
               cuda.cuMemAllocAsync(ctypes.byref(memory), ctypes.c_size_t({GRAPH_BYTES}), stream),
               cuda.cuMemFreeAsync(memory, stream), cuda.cuStreamEndCapture(stream, ctypes.byref(graph))):
    assert result == 0, result
input()
"""


class Requests(unittest.TestCase):
    SETTINGS = ""
    DEVICES = 1

    def setUp(self):
        self.broker = self.enterContext(AdministeredBroker(LAYOUT, of_broker=self.SETTINGS, sim_devices=self.DEVICES))
        self.program = LAYOUT.program("demo_driver")

    def steady(self, **variables: str) -> SteadyClient:
        return self.enterContext(SteadyClient(self.program, self.broker.environment() | variables, SECONDS))

    def processed(self) -> int:
        return self.broker.ask("status")["processed"]["total"]

    def raw(self) -> socket.socket:
        connection = self.enterContext(socket.socket(socket.AF_UNIX))
        connection.settimeout(SECONDS)
        connection.connect(str(self.broker.admin_socket))
        return connection

    def relaunch(self) -> None:
        seen = self.broker.log_tail(1_000_000).count("listening on")
        os.kill(self.broker.pid, signal.SIGUSR2)
        self.assertTrue(wait_until(lambda: self.broker.log_tail(1_000_000).count("listening on") > seen, SECONDS))


class ShowingTwoGpus(Requests):
    DEVICES = 2
    FIRST, SECOND = "0000:06:00.0", "0000:07:00.0"

    def test_lists_say_which_client_uses_which(self):
        client = self.steady(CUDA_VISIBLE_DEVICES="1,0")

        def held() -> list[tuple[str, int]]:
            return [(gpu["pci"], gpu["device"]) for [shown] in [self.broker.list("clients")] for gpu in shown["gpus"] if gpu["contexts"] > 0]

        self.assertTrue(wait_until(lambda: held() == [(self.SECOND, 0)], SECONDS), held())
        gpus = {gpu["pci"]: gpu for gpu in self.broker.list("gpus")}
        self.assertEqual({pci: (gpu["workers"], gpu["clients"]) for pci, gpu in gpus.items()}, {self.FIRST: (1, 0), self.SECOND: (1, 1)})
        self.assertEqual((gpus[self.FIRST]["memory_bytes"], gpus[self.FIRST]["vms"], gpus[self.SECOND]["vms"]), (0, [], [VM]))
        [shown] = self.broker.list("clients")
        self.assertEqual(gpus[self.SECOND]["memory_bytes"], shown["memory_bytes"])
        self.assertNotEqual(gpus[self.FIRST]["uuid"], gpus[self.SECOND]["uuid"])
        self.steady(CUDA_VISIBLE_DEVICES="0")
        counts = {self.FIRST: (2, 1), self.SECOND: (1, 1)}
        self.assertTrue(wait_until(lambda: {gpu["pci"]: (gpu["workers"], gpu["clients"]) for gpu in self.broker.list("gpus")} == counts, SECONDS))
        self.assertEqual(client.ask(), "right")
        self.assertIn(self.SECOND, self.broker.admin("list", "clients").stdout)

    @unittest.skipIf("VGPU_TEST_SANITIZED" in os.environ, "a sanitizer's library must come before what is loaded")
    def test_memory_of_a_graph_counts_where_it_is(self):
        with subprocess.Popen([sys.executable, "-c", MAKE_ALLOCATING_GRAPH], env=self.broker.environment(), stdin=subprocess.PIPE, text=True) as client:
            expected = {self.FIRST: 0, self.SECOND: GRAPH_BYTES}
            self.assertTrue(wait_until(lambda: {gpu["pci"]: gpu["memory_bytes"] for gpu in self.broker.list("gpus")} == expected, SECONDS), self.broker.list("gpus"))
            client.communicate("\n", timeout=SECONDS)
        self.assertEqual(client.returncode, 0)


class Showing(Requests):
    def test_status_and_lists_show_a_client_its_worker_and_its_gpu(self):
        client = self.steady()
        self.assertTrue(wait_until(lambda: self.broker.list("gpus"), SECONDS))
        [shown] = self.broker.list("clients")
        self.assertEqual((shown["pid"], shown["vm"], shown["state"]), (client.pid, VM, "running"))
        self.assertEqual([shown["worker"]], self.broker.workers())
        [worker] = self.broker.list("workers")
        self.assertEqual((worker["worker"], worker["gpu"]), (shown["worker"], "vGPU Software GPU"))
        [gpu] = self.broker.list("gpus")
        self.assertEqual((gpu["gpu"], gpu["workers"]), ("vGPU Software GPU", 1))
        self.assertEqual({one["kind"] for one in self.broker.list("sockets")}, {"main", "admin", "vm"})
        self.assertEqual([vm["vm"] for vm in self.broker.list("vms")], ["a", VM])
        text = self.broker.admin("list", "clients").stdout.splitlines()
        self.assertEqual(text[0].split()[:3], ["CLIENT", "VM", "PID"])
        self.assertIn(str(client.pid), text[1])
        self.assertIn(f"pid {self.broker.pid}", self.broker.admin("status").stdout)

    def test_counts_outlive_workers_a_relaunch_and_a_crash(self):
        self.broker.run([self.program], SECONDS)
        self.assertTrue(wait_until(lambda: not self.broker.list("clients"), SECONDS))
        done = self.processed()
        self.assertGreater(done, 0)
        client = self.steady()
        self.assertTrue(wait_until(lambda: self.processed() > done, SECONDS))
        together = self.processed()
        self.relaunch()
        self.assertGreaterEqual(self.processed(), together)
        self.broker.kill()
        self.broker.start_again()
        self.assertGreaterEqual(self.processed(), together)
        [gpu] = self.broker.list("gpus")  # the worker said it to the broker of before
        self.assertEqual(gpu["gpu"], "vGPU Software GPU")
        before = self.processed()
        self.assertEqual(client.ask(), "right")
        self.assertTrue(wait_until(lambda: self.processed() > before, SECONDS))

    def test_support_bundle_says_what_is_in_it(self):
        file = self.broker.folder / "bundle.tar.gz"
        done = self.broker.admin("support-bundle", "--output", file)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(file.stat().st_mode & 0o777, 0o600)
        with tarfile.open(file) as bundle:
            names = {pathlib.Path(name).name for name in bundle.getnames()[1:]}
            status = next(m for m in bundle.getmembers() if m.name.endswith("/status.json"))
            self.assertEqual(json.load(bundle.extractfile(status))["broker"]["pid"], self.broker.pid)
        self.assertEqual({line.split(":")[0].strip() for line in done.stdout.splitlines() if line.startswith("  ")}, names)
        self.assertLessEqual({"status.json", "settings.json", "doctor.txt", "broker.toml", "versions.txt", "log.txt"}, names)

    def test_support_bundle_without_a_broker(self):
        self.broker.stop()
        file = self.broker.folder / "bundle.tar.gz"
        done = self.broker.admin("support-bundle", "--output", file)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("broker-does-not-answer.txt", done.stdout)

    def test_completion_completes(self):
        script = 'eval "$("$1" completion bash)"; COMP_WORDS=(vgpu-admin $2); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _vgpu_admin; echo "${COMPREPLY[@]}"'

        def complete(words: str) -> str:
            return subprocess.run(["bash", "-c", script, "-", LAYOUT.program("vgpu-admin"), words], capture_output=True, text=True, timeout=SECONDS).stdout.strip()

        self.assertEqual(complete("quar"), "quarantine")
        self.assertEqual(complete("list so"), "sockets")
        self.assertEqual(complete("doctor --as"), "--as-uid")

    def test_a_broker_that_is_not_there_is_exit_code_69_with_what_to_do(self):
        self.broker.stop()
        done = self.broker.admin("status")
        self.assertEqual(done.returncode, 69)
        self.assertIn("start vgpu-broker", done.stderr)


class Heartbeat(Requests):
    SETTINGS = "heartbeat_s = 1"

    def test_heartbeat_and_total_come_by_themselves(self):
        def totals() -> list[int]:
            return [int(number) for number in re.findall(r"Total processed: (\d+)", self.broker.log_tail(1_000_000))]

        self.assertTrue(wait_until(lambda: totals()[:1] == [0], SECONDS), self.broker.log_tail())
        self.broker.run([self.program], SECONDS)
        # A beat may have come while the program was at it: a later one has all.
        self.assertTrue(wait_until(lambda: totals()[-1] == self.processed() > 0, SECONDS), self.broker.log_tail())
        self.assertIn("HEARTBEAT: ", self.broker.log_tail())


class Acting(Requests):
    def test_killed_client_is_told_once_and_for_all(self):
        first, second = self.steady(), self.steady()
        number = next(one["client"] for one in self.broker.list("clients") if one["pid"] == first.pid)
        self.assertEqual(self.broker.ask("kill", number)["ended"], 1)
        self.assertTrue(first.ask().startswith("CUDA_ERROR_"))
        self.assertEqual(second.ask(), "right")
        self.assertTrue(wait_until(lambda: self.broker.admin("kill", number).returncode == 1, SECONDS))
        self.assertEqual(self.broker.ask("kill", "--vm", VM)["ended"], 1)
        self.assertTrue(second.ask().startswith("CUDA_ERROR_"))
        done = self.broker.admin("kill", "--vm", "nobody")
        self.assertEqual(done.returncode, 1)
        self.assertIn("there is no VM nobody", done.stderr)

    def check_refused(self):
        done = self.broker.run([self.program], SECONDS)
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"vgpu-admin release {VM}", done.stderr)

    def test_quarantine_outlives_relaunch_crash_and_stop(self):
        client = self.steady()
        self.assertEqual(self.broker.ask("quarantine", VM)["ended"], 1)
        self.assertTrue(client.ask().startswith("CUDA_ERROR_"))
        self.check_refused()
        self.relaunch()
        self.check_refused()
        self.broker.kill()
        self.broker.start_again()
        self.check_refused()
        self.broker.stop()
        self.broker.start_again()
        self.check_refused()
        self.assertIn("QUARANTINE", self.broker.admin("list", "vms").stdout)
        self.assertEqual(self.broker.admin("release", VM).returncode, 0)
        self.assertEqual(self.broker.run([self.program], SECONDS).returncode, 0)
        self.broker.exit_status = None  # it serves again

    def test_reload_says_what_is_wrong(self):
        config = self.broker.config
        good = config.read_text()
        config.write_text('[broker]\nlog_level = "loud"\n')
        done = self.broker.admin("reload")
        self.assertEqual(done.returncode, 1)
        self.assertIn("log_level must be", done.stderr)
        config.write_text(good.replace("[broker]", '[broker]\nlog_level = "debug"'))
        self.assertEqual(self.broker.admin("reload").returncode, 0)
        self.assertEqual(self.broker.ask("status")["broker"]["log_level"], "debug")


class Protocol(Requests):
    def test_requests_follow_one_another_and_nonsense_is_answered(self):
        with self.raw() as connection, connection.makefile("rw") as lines:
            lines.write('{"request": "status"}\n{"request": "nonsense"}\nhello\n{"request": "list", "what": "vms"}\n')
            lines.flush()
            answers = [json.loads(lines.readline()) for _ in range(4)]
        self.assertEqual([answer["ok"] for answer in answers], [True, False, False, True])

    def test_a_line_without_end_is_refused_and_closed(self):
        connection = self.raw()
        connection.sendall(b"x" * 5000)
        self.assertIn(b"4096 bytes", connection.recv(4096))
        with self.assertRaises(ConnectionResetError):
            connection.recv(4096)

    def test_connections_are_bounded_and_come_free_again(self):
        held = [self.raw() for _ in range(16)]
        for one in held:
            one.sendall(b'{"request": "status"}\n')
            self.assertIn(b'"ok":true', one.recv(4096))
        done = self.broker.admin("status")
        self.assertEqual(done.returncode, 1)
        self.assertIn("try again later", done.stderr)
        for one in held:
            one.close()
        self.assertTrue(wait_until(lambda: self.broker.admin("status").returncode == 0, SECONDS))

    def test_administrators_who_leave_in_the_middle_cost_nothing(self):
        before = self.broker.accounts()["descriptors"]
        for text in (b"", b'{"request"', b'{"request": "settings"}\n' * 50):
            connection = self.raw()
            connection.sendall(text)
            connection.close()
        self.broker.await_accounts(descriptors=before)


@unittest.skipUnless(os.geteuid() == 0, "only root can be several users")
class Authority(Requests):
    SETTINGS = 'admin_group = "nogroup"'

    def test_members_of_the_group_may_and_others_may_not(self):
        nogroup = grp.getgrnam("nogroup").gr_gid
        self.broker.folder.chmod(0o755)
        socket_file = self.broker.admin_socket.stat()
        self.assertEqual((socket_file.st_mode & 0o777, socket_file.st_gid), (0o660, nogroup))
        ways = {"as its own group": {"group": nogroup}, "as one of several": {"group": STRANGER, "extra_groups": [nogroup]}}
        for name, how in ways.items():
            with self.subTest(name):
                self.assertEqual(self.broker.admin("status", user=STRANGER, **how).returncode, 0)
        done = self.broker.admin("status", user=STRANGER, group=STRANGER, extra_groups=[])
        self.assertEqual(done.returncode, 69)
        self.assertIn("admin_group", done.stderr)
        self.broker.admin_socket.chmod(0o666)  # whoever gets through the file is still asked who he is
        done = self.broker.admin("quarantine", "a", user=STRANGER, group=STRANGER, extra_groups=[])
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"uid {STRANGER} may not administer", done.stderr)
        self.assertEqual(self.broker.ask("status")["vms"]["quarantined"], [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
