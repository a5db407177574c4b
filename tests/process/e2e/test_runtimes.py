# SPDX-License-Identifier: Apache-2.0
"""test_runtimes.py BUILD: programs with NVIDIA's run-time libraries 11.8 and 12.4, as older distributions have them.

The libraries come from Debian's mirror and are kept below build/; where they cannot be had, the test is skipped. So are
the programs built with nvcc of those toolkits, which scripts/fetch-cuda-runtimes --programs makes.
"""
import pathlib
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "scripts" / "lib"))
from gputest.context import Run  # noqa: E402
from gputest.runtimes_section import VERSIONS, verdicts  # noqa: E402
from harness.layout import Layout  # noqa: E402
from harness.private_broker import PrivateBroker  # noqa: E402

LAYOUT = Layout(pathlib.Path(sys.argv.pop(1)))
FETCH_SECONDS, SECONDS = 240, 60
FOLDER = ROOT / "build" / "cuda-runtimes"
PARTS = {"versions", "device", "memory", "kernel", "kernel_by_driver", "streams_and_events", "stream_ordered_memory", "graph", "arrays", "errors", "ending"}
SKIPPED = 77  # to ctest


class Runtimes(unittest.TestCase):
    def check(self, version: str):
        with PrivateBroker(LAYOUT, "sim") as broker:
            done = broker.run([LAYOUT.program("runtime_check"), FOLDER / version / VERSIONS[version][0]], SECONDS)
        self.assertEqual(verdicts(Run(done.returncode, done.stdout, done.stderr, 0)), dict.fromkeys(PARTS, "ok"), done.stdout + done.stderr)
        self.assertEqual(done.returncode, 0)

    def check_demo(self, version: str):
        program = FOLDER / version / "demo"
        if not program.exists():
            self.skipTest("it was not built")
        with PrivateBroker(LAYOUT, "sim") as broker:
            done = broker.run([program], SECONDS)
        self.assertEqual((done.returncode, done.stdout.splitlines()[-1:]), (0, ["demo: all results are right"]), done.stdout + done.stderr)

    def test_12_4(self):
        self.check("12.4")

    def test_11_8(self):
        self.check("11.8")

    def test_a_program_built_with_12_4(self):
        self.check_demo("12.4")

    def test_a_program_built_with_11_8(self):
        self.check_demo("11.8")


if __name__ == "__main__":
    fetched = subprocess.run([ROOT / "scripts" / "fetch-cuda-runtimes", "--dir", FOLDER], capture_output=True, text=True, timeout=FETCH_SECONDS)
    if fetched.returncode != 0:
        print(f"skipped: {fetched.stderr.strip()}")
        sys.exit(SKIPPED)
    unittest.main(verbosity=2)
