# SPDX-License-Identifier: Apache-2.0
"""test_logs.py BUILD: the log of broker and workers, as a file that logrotate moves, as JSON, and in the journal."""
import argparse
import json
import os
import pathlib
import re
import signal
import stat
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "scripts" / "lib"))
from harness.layout import Layout, native_environment  # noqa: E402
from harness.private_broker import PrivateBroker, SteadyClient  # noqa: E402
from harness.processes import is_alive, wait_until  # noqa: E402

arguments = argparse.ArgumentParser()
arguments.add_argument("build", type=pathlib.Path)
OPTIONS = arguments.parse_args()
LAYOUT = Layout(OPTIONS.build.resolve())
SECONDS = 30


class Logs(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="vgpu-log-")))
        self.file = self.folder / "broker.log"

    def start(self, *settings: str) -> PrivateBroker:
        lines = ["[broker]", 'log_level = "debug"', *settings]
        return self.enterContext(PrivateBroker(LAYOUT, "sim", settings="\n".join(lines) + "\n"))

    def compute(self, broker: PrivateBroker) -> None:
        done = broker.run([LAYOUT.program("demo_driver")], SECONDS)
        self.assertEqual(done.returncode, 0, done.stderr)

    def await_line(self, text: str, count: int = 1) -> None:
        self.assertTrue(wait_until(lambda: self.file.exists() and self.file.read_text().count(text) >= count, SECONDS), f"no {text!r} in the log")

    def test_broker_and_workers_write_json_lines_into_one_file(self):
        broker = self.start(f'log_file = "{self.file}"', 'log_format = "json"')
        self.compute(broker)
        self.await_line(" ended: ")
        lines = [json.loads(line) for line in self.file.read_text().splitlines()]
        self.assertEqual({"time", "program", "pid", "level", "message"}, set(lines[0]))
        self.assertEqual({"vgpu-broker", "worker[1]"}, {line["program"] for line in lines})
        self.assertEqual(stat.S_IMODE(self.file.stat().st_mode), 0o640)
        self.assertEqual(broker.log_tail(), "")  # and nothing elsewhere

    def test_the_doctor_knows_where_the_log_is(self):
        broker = self.start(f'log_file = "{self.file}"')
        done = subprocess.run([str(LAYOUT.program("vgpu-admin")), "doctor", "--config", str(broker.folder / "broker.toml"), "--socket", str(broker.socket) + ".admin"], env=native_environment(), capture_output=True, text=True, timeout=SECONDS)
        self.assertIn(f"broker and workers: {self.file}", done.stdout, done.stderr)

    def test_rotation_loses_no_line_of_broker_and_worker(self):
        broker = self.start(f'log_file = "{self.file}"')
        client = self.enterContext(SteadyClient(LAYOUT.program("demo_driver"), broker.environment(), SECONDS))
        self.await_line("is ready")
        moved = self.folder / "broker.log.1"
        self.file.rename(moved)
        size = moved.stat().st_size
        os.kill(broker.pid, signal.SIGHUP)
        self.await_line("log level is now")
        client.finish()
        self.await_line(" ended: ")
        self.assertEqual(moved.stat().st_size, size)

    def test_reload_changes_format_and_place(self):
        broker = self.start()
        settings = broker.folder / "broker.toml"
        settings.write_text(f'[broker]\nlog_file = "{self.file}"\nlog_format = "json"\n')
        os.kill(broker.pid, signal.SIGHUP)
        self.await_line("log level is now")
        self.compute(broker)
        self.await_line(" ended: ")
        for line in self.file.read_text().splitlines():
            json.loads(line)
        settings.write_text('[broker]\nlog_file = "/nowhere/at/all.log"\n')
        os.kill(broker.pid, signal.SIGHUP)
        self.await_line("the configuration stays as it was")

    def test_a_log_that_cannot_be_written_keeps_the_broker_from_starting(self):
        command = [LAYOUT.program("vgpu-broker"), "--config", "/dev/null", "--socket", self.folder / "s", "--log-file", "/nowhere/at/all.log"]
        done = subprocess.run([str(word) for word in command], env=native_environment(), capture_output=True, text=True, timeout=SECONDS)
        self.assertEqual(done.returncode, 1)
        self.assertIn("cannot write the log to /nowhere/at/all.log: No such file or directory; make its folder", done.stderr)

    def test_lines_for_the_journal_carry_their_priority(self):
        """The broker's, and those of its worker, whose standard error is the same."""
        with self.file.open("ab") as journal:
            status = os.fstat(journal.fileno())
            environment = native_environment() | {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
            command = [LAYOUT.program("vgpu-broker"), "--config", "/dev/null", "--socket", self.folder / "s", "--driver", "sim", "--log-level", "debug"]
            broker = subprocess.Popen([str(word) for word in command], env=environment, stdin=subprocess.DEVNULL, stdout=journal, stderr=journal)
        self.addCleanup(lambda: is_alive(broker.pid) and broker.kill())
        self.await_line("listening on")
        client = subprocess.run([str(LAYOUT.program("demo_driver"))], env=native_environment() | {"VGPU_SOCKET": str(self.folder / "s"), "LD_LIBRARY_PATH": str(LAYOUT.shim_folder)}, timeout=SECONDS, capture_output=True)
        self.assertEqual(client.returncode, 0)
        self.await_line(" ended: ")
        broker.terminate()
        self.assertEqual(broker.wait(SECONDS), 0)
        text = self.file.read_text()
        for line in text.splitlines():
            self.assertRegex(line, r"^<[3-7]>\d{4}-")
        self.assertTrue(re.search(r"^<7>.* worker\[1\] debug: ", text, re.M), text)
        self.assertTrue(re.search(r"^<6>.* vgpu-broker info: listening on ", text, re.M), text)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
