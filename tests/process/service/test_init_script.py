# SPDX-License-Identifier: Apache-2.0
"""test_init_script.py BUILD: the SysV script with a broker of our own: its actions, its status codes, and what clients notice of it."""
import argparse
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "scripts" / "lib"))
from harness.computing import Computing  # noqa: E402
from harness.layout import Layout, native_environment, remoted_environment  # noqa: E402
from harness.private_broker import SteadyClient  # noqa: E402
from harness.processes import is_alive, wait_until  # noqa: E402

arguments = argparse.ArgumentParser()
arguments.add_argument("build", type=pathlib.Path)
OPTIONS = arguments.parse_args()
LAYOUT = Layout(OPTIONS.build.resolve())
SCRIPT = ROOT / "scripts" / "vgpu-broker.init"
SECONDS = 60
# LSB's codes of "status", and of failed actions.
RUNNING, DEAD_WITH_PID_FILE, NOT_RUNNING = 0, 1, 3
BAD_ARGUMENT, NOT_INSTALLED, NOT_CONFIGURED, NOT_RUNNING_ACTION = 2, 5, 6, 7


class InitScript(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="vgpu-init-")))
        self.socket = self.folder / "run" / "mediator.sock"
        self.config = self.folder / "broker.toml"
        self.config.write_text(f'[broker]\nsocket = "{self.socket}"\n[gpu]\ndriver = "sim"\n')
        self.log = self.folder / "broker.log"
        self.pid_file = self.folder / "run" / "broker.pid"
        self.settings = {"VGPU_BROKER": str(LAYOUT.program("vgpu-broker")), "VGPU_CONFIG": str(self.config), "VGPU_RUNTIME": str(self.folder / "run"), "VGPU_LOG": str(self.log)}
        self.addCleanup(lambda: self.act("shutdown"))

    def act(self, *action: str) -> subprocess.CompletedProcess:
        environment = native_environment() | self.settings
        return subprocess.run(["sh", str(SCRIPT), *action], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS)

    def check(self, action: str, code: int = 0) -> str:
        done = self.act(action)
        self.assertEqual(done.returncode, code, f"{action}: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def pid(self) -> int:
        return int(self.pid_file.read_text())

    def client(self) -> SteadyClient:
        return self.enterContext(SteadyClient(LAYOUT.program("demo_driver"), remoted_environment(LAYOUT, self.socket), SECONDS))

    def test_actions_and_their_codes(self):
        self.check("status", NOT_RUNNING)
        self.assertIn("not running", self.check("stop"))
        self.assertIn("not running", self.check("try-restart"))
        self.check("reload", NOT_RUNNING_ACTION)
        self.check("start")
        first = self.pid()
        self.assertIn(f"(pid {first})", self.check("status", RUNNING))
        self.assertIn("already running", self.check("start"))
        self.assertEqual(self.pid(), first)
        self.check("reload")
        self.assertTrue(wait_until(lambda: "log level is now" in self.log.read_text(), SECONDS))
        for action in ("restart", "try-restart", "force-reload"):
            before = self.pid()
            self.check(action)
            self.assertNotEqual(self.pid(), before)
            self.assertFalse(is_alive(before))
        self.check("stop")
        self.check("status", NOT_RUNNING)
        self.assertFalse(self.pid_file.exists())
        self.assertIn("usage:", self.check("dance", BAD_ARGUMENT))

    def test_a_broker_that_died_is_told_from_one_that_was_stopped(self):
        self.check("start")
        os.kill(self.pid(), signal.SIGKILL)
        self.assertTrue(wait_until(lambda: not is_alive(self.pid()), SECONDS))
        self.check("status", DEAD_WITH_PID_FILE)
        self.check("start")
        self.check("status", RUNNING)

    def test_a_pid_file_that_names_another_program_is_not_believed(self):
        self.pid_file.parent.mkdir()
        self.pid_file.write_text(f"{os.getpid()}\n")
        self.check("status", DEAD_WITH_PID_FILE)
        self.check("stop")
        self.check("start")
        self.assertNotEqual(self.pid(), os.getpid())

    def test_clients_compute_through_restarts_and_stops_and_end_with_shutdown(self):
        self.check("start")
        computing = Computing(self.client())
        self.addCleanup(computing.stop)
        for _ in range(3):
            self.check("restart")
        self.check("stop")
        before = computing.answers
        self.assertTrue(wait_until(lambda: computing.answers > before, SECONDS))
        self.check("start")
        self.assertIn("took back client 1", self.log.read_text())
        computing.stop()
        self.assertEqual(computing.wrong, [])
        self.check("shutdown")
        self.assertNotEqual(computing.client.ask(), "right")

    def test_two_starts_at_once_make_one_broker(self):
        environment = native_environment() | self.settings
        starts = [subprocess.Popen(["sh", str(SCRIPT), "start"], env=environment, stdout=subprocess.PIPE, text=True) for _ in range(3)]
        said = [start.communicate(timeout=SECONDS)[0] for start in starts]
        self.assertEqual([start.returncode for start in starts], [0, 0, 0])
        self.assertEqual(sum("already running" in text for text in said), 2, said)
        self.assertEqual(self.log.read_text().count("listening on " + str(self.socket)), 1)

    def test_failures_say_why(self):
        self.config.write_text("[broker]\nsocket = 5\n")
        self.assertIn("broker.toml:2: socket must be", self.check("start", NOT_CONFIGURED))
        self.config.write_text('[broker]\nsocket = "/nowhere/at/all.sock"\n')
        self.assertIn("/nowhere/at/all.sock", self.check("start", 1))
        self.check("status", NOT_RUNNING)
        self.settings["VGPU_BROKER"] = str(self.folder / "absent")
        self.check("start", NOT_INSTALLED)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
