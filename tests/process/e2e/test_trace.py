# SPDX-License-Identifier: Apache-2.0
"""test_trace.py BUILD: one call is followed from the program to the worker by its CLIENT:NUMBER."""
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "scripts" / "lib"))
from harness.layout import Layout  # noqa: E402
from harness.private_broker import PrivateBroker  # noqa: E402

LAYOUT = Layout(pathlib.Path(sys.argv.pop(1)))
SECONDS = 60
LINE = re.compile(r"\[vgpu-trace\] (\d+:\d+) (\w+) ")


def calls(text: str) -> dict[str, str]:
    """CLIENT:NUMBER -> operation."""
    return dict(LINE.findall(text))


class Trace(unittest.TestCase):
    def run_traced(self, level: str, **settings):
        broker = self.enterContext(PrivateBroker(LAYOUT, "sim", settings=f'[broker]\nlog_level = "{level}"\n'))
        done = subprocess.run([LAYOUT.program("demo_driver")], env=broker.environment() | settings, capture_output=True, text=True, timeout=SECONDS)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        broker.await_accounts(clients=0, workers=0)
        return done, broker.log.read_text()

    def test_both_sides_name_every_call_alike(self):
        done, log = self.run_traced("trace", VGPU_TRACE="1")
        guest, worker = calls(done.stderr), calls(log)
        self.assertGreater(len(guest), 20)
        self.assertEqual(guest, worker)
        numbers = sorted(int(name.split(":")[1]) for name in guest)
        self.assertEqual(numbers, list(range(1, len(numbers) + 1)))
        self.assertRegex(done.stderr, r"\[vgpu-trace\] 1:\d+ launch posted")
        self.assertIn("[libvgpu-cuda] cuInit() succeeded", done.stderr)

    def test_a_file_takes_the_programs_lines(self):
        path = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory())) / "trace"
        done, _ = self.run_traced("info", VGPU_TRACE=str(path))
        self.assertEqual(done.stderr, "")
        self.assertGreater(len(calls(path.read_text())), 20)

    def test_nobody_says_a_word_unless_told(self):
        done, log = self.run_traced("debug")
        self.assertEqual(done.stderr, "")
        self.assertNotIn("vgpu-trace", log)


if __name__ == "__main__":
    unittest.main()
