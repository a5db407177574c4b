# SPDX-License-Identifier: Apache-2.0
"""test_nvml.py BUILD: programs that ask NVML as PyTorch, NCCL and Ollama do, and what they are told."""
import ctypes
import ctypes.util
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "scripts" / "lib"))
from harness.layout import Layout, remoted_environment  # noqa: E402
from harness.private_broker import PrivateBroker  # noqa: E402
from harness.processes import wait_until  # noqa: E402

LAYOUT = Layout(pathlib.Path(sys.argv.pop(1)))
SANITIZED = "VGPU_TEST_SANITIZED" in os.environ
SECONDS = 60
DEMO = LAYOUT.program("nvml_demo")
LIBRARY = LAYOUT.shim_folder / "libnvidia-ml.so.1"
TABLE = ROOT / "common" / "api" / "nvml.table"
DRIVER_NOT_LOADED, LIBRARY_NOT_FOUND, GPU_IS_LOST = 9, 12, 15


def values(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


class Programs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.broker = cls.enterClassContext(PrivateBroker(LAYOUT, "sim"))

    def run_demo(self, kind: str, errors: str = r"", **settings) -> dict[str, str]:
        done = subprocess.run([DEMO, kind], env=self.broker.environment() | settings, capture_output=True, text=True, timeout=SECONDS)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stderr, rf"\A{errors}\Z")
        return values(done.stdout)

    def test_pytorch_finds_the_gpus_of_cuda(self):
        found = self.run_demo("pytorch")
        self.assertEqual(found["nvml.uuid"], found["cuda.uuid"])
        self.assertEqual(found["nvml.short_bus_id"], found["cuda.bus_id"])
        self.assertEqual(found["nvml.bus_id"], "0000" + found["cuda.bus_id"])
        self.assertEqual(found["nvml.memory"], found["cuda.memory"])

    def test_cuda_visible_devices_is_of_cuda_alone(self):
        self.assertEqual(self.run_demo("pytorch", CUDA_VISIBLE_DEVICES="0")["nvml.count"], "1")

    def test_nccl(self):
        self.run_demo("nccl")

    def test_ollama(self):
        found = self.run_demo("ollama")
        self.assertRegex(found["driver"], r"^\d+\.\d+")
        self.assertEqual(found["nvml.name"], "vGPU Software GPU")

    def test_child_of_a_process_that_used_nvml(self):
        self.run_demo("fork")

    def test_child_of_a_process_that_used_cuda(self):
        self.run_demo("fork-after-cuda")

    def test_before_nvml_init(self):
        self.run_demo("uninitialised")

    def test_what_is_not_supported_is_said_once(self):
        self.run_demo("unsupported", r"vgpu: nvmlDeviceSetPersistenceMode is not supported \(said once\)\n")

    def test_a_trace_names_the_gpu(self):
        done = subprocess.run([DEMO, "init"], env=self.broker.environment() | {"VGPU_TRACE": "1"}, capture_output=True, text=True, timeout=SECONDS)
        self.assertIn("[libvgpu-nvml] nvmlInit() succeeded: vGPU Software GPU\n", done.stderr)

    def test_nothing_stays_behind(self):
        self.run_demo("fork")
        self.broker.await_accounts(clients=0, workers=0)


class HostWithNvml(unittest.TestCase):
    """The worker opens a library of that name beside a driver that it takes for a real one."""

    def test_what_the_hosts_library_says_comes_to_the_guest(self):
        # The worker's libraries are found as the broker's are.
        before = os.environ.get("LD_LIBRARY_PATH")
        os.environ["LD_LIBRARY_PATH"] = str(LAYOUT.top / "tests" / "host-nvml")
        self.addCleanup(lambda: os.environ.pop("LD_LIBRARY_PATH") if before is None else os.environ.update(LD_LIBRARY_PATH=before))
        with PrivateBroker(LAYOUT, str(LAYOUT.lib / "libvgpu-simcuda.so.1")) as broker:
            done = broker.run([DEMO, "host"], SECONDS)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
        found = values(done.stdout)
        self.assertEqual(found, {"name": "host GPU 1", "driver": "580.1.2", "used": str(300 << 20)})

    @unittest.skipIf(ctypes.util.find_library("nvidia-ml"), "this machine has an NVML of its own")
    def test_without_one_it_says_what_cuda_knows(self):
        with PrivateBroker(LAYOUT, str(LAYOUT.lib / "libvgpu-simcuda.so.1")) as broker:
            found = values(broker.run([LAYOUT.program("nvml_facts")], SECONDS).stdout)
            self.assertEqual(found["name.0"], "vGPU Software GPU")
            self.assertEqual(found["live.utilization.0"], "error 3")
            self.assertTrue(wait_until(lambda: "NVML says no more than CUDA knows" in broker.log.read_text(), 10))


class LostWorker(unittest.TestCase):
    """A program that only watches: its worker is killed, it goes on with another one."""

    def test_a_watcher_connects_again(self):
        with PrivateBroker(LAYOUT, "sim") as broker:
            process = subprocess.Popen([DEMO, "stay"], env=broker.environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            with process:
                self.assertEqual(process.stdout.readline(), "ready\n")
                first = broker.workers()
                self.assertEqual(len(first), 1)
                os.kill(first[0], signal.SIGKILL)
                self.assertTrue(wait_until(lambda: first[0] not in broker.workers(), 10))
                # Asked at once, the end may be seen by the question that was on its way.
                answers = []
                deadline = time.monotonic() + 10
                while "memory=0\n" not in answers and time.monotonic() < deadline:
                    process.stdin.write("\n")
                    process.stdin.flush()
                    answers.append(process.stdout.readline())
                self.assertEqual(answers[-1], "memory=0\n")
                self.assertLessEqual(set(answers[:-1]), {f"memory={GPU_IS_LOST}\n"})
                process.stdin.close()
                self.assertEqual(process.wait(SECONDS), 0)


class WithoutHelp(unittest.TestCase):
    def init(self, environment: dict[str, str], kind: str = "init") -> tuple[int, str, float]:
        begun = time.monotonic()
        done = subprocess.run([DEMO, kind], env=environment, capture_output=True, text=True, timeout=SECONDS)
        self.assertEqual(done.returncode, 0, done.stderr)
        return int(values(done.stdout)["init"]), done.stderr, time.monotonic() - begun

    def test_no_broker(self):
        result, said, seconds = self.init(remoted_environment(LAYOUT, pathlib.Path("/nonexistent/broker.sock")))
        self.assertEqual(result, DRIVER_NOT_LOADED)
        self.assertRegex(said, r"\Avgpu: no GPU: [^\n]*\n\Z")
        self.assertLess(seconds, 10 if SANITIZED else 2.5)

    def test_a_libcuda_that_is_not_ours(self):
        environment = remoted_environment(LAYOUT, pathlib.Path("/nonexistent/broker.sock"))
        with tempfile.TemporaryDirectory() as folder:
            foreign = pathlib.Path(folder) / "libcuda.so.1"
            foreign.symlink_to((LAYOUT.lib / "libvgpu-simcuda.so.1").resolve())
            environment["LD_LIBRARY_PATH"] = f"{folder}:{environment['LD_LIBRARY_PATH']}"
            result, said, _ = self.init(environment, "init-after-cuda")
        self.assertEqual(result, LIBRARY_NOT_FOUND)
        self.assertRegex(said, r"\Avgpu: no NVML: [^\n]* not the vGPU's[^\n]*\n\Z")


class Library(unittest.TestCase):
    def test_every_name_is_exported(self):
        names = re.findall(r"(nvml\w+)\(", TABLE.read_text())
        rows = [line for line in TABLE.read_text().splitlines() if line and not line.startswith("#")]
        self.assertEqual(len(rows), 404)
        library = ctypes.CDLL(str(LIBRARY)) if not SANITIZED else None
        listed = subprocess.run(["readelf", "-W", "--dyn-syms", str(LIBRARY)], capture_output=True, text=True, check=True).stdout
        exported = set(re.findall(r" GLOBAL DEFAULT +\d+ (nvml\w+)$", listed, re.M))
        self.assertEqual(exported, {re.search(r"(nvml\w+)\(", row).group(1) for row in rows})
        for name in names if library is not None else []:
            self.assertTrue(hasattr(library, name), name)


if __name__ == "__main__":
    unittest.main(verbosity=2)
