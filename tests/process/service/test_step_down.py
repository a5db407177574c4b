# SPDX-License-Identifier: Apache-2.0
"""test_step_down.py BUILD [--rounds N]: the service is stopped and started under clients that compute; they lose no call."""
import argparse
import os
import pathlib
import signal
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "scripts" / "lib"))
from harness.computing import Computing  # noqa: E402
from harness.layout import Layout  # noqa: E402
from harness.private_broker import PrivateBroker, SteadyClient  # noqa: E402
from harness.processes import is_alive, wait_until  # noqa: E402

arguments = argparse.ArgumentParser()
arguments.add_argument("build", type=pathlib.Path)
arguments.add_argument("--rounds", type=int, default=20)
OPTIONS = arguments.parse_args()
LAYOUT = Layout(OPTIONS.build.resolve())
SECONDS = 60


def maps_of(pid: int) -> str:
    try:
        return pathlib.Path(f"/proc/{pid}/maps").read_text()
    except FileNotFoundError:
        return ""


class StepDown(unittest.TestCase):
    def setUp(self):
        self.broker = self.enterContext(PrivateBroker(LAYOUT, "sim"))
        self.program = LAYOUT.program("demo_driver")

    def start_clients(self, count: int) -> list[SteadyClient]:
        return [self.enterContext(SteadyClient(self.program, self.broker.environment(), SECONDS)) for _ in range(count)]

    def log(self) -> str:
        return self.broker.log_tail(lines=1_000_000)

    def test_clients_lose_no_call_over_many_stops_and_starts(self):
        clients = self.start_clients(2)
        workers = self.broker.workers()
        computing = [Computing(client) for client in clients]
        self.addCleanup(lambda: [one.stop() for one in computing])
        for done in range(1, OPTIONS.rounds + 1):
            self.broker.step_down()
            self.assertTrue(all(map(is_alive, workers)), self.log())
            seen = [one.answers for one in computing]
            # They compute while nobody serves the socket.
            self.assertTrue(wait_until(lambda: all(one.answers > before for one, before in zip(computing, seen)), SECONDS))
            self.broker.start_again()
            self.assertEqual(self.log().count("took back client"), 2 * done, self.log())
        for one in computing:
            one.stop()
            self.assertEqual(one.wrong, [])
        for client in clients:
            self.assertEqual(client.finish(), (0, ""))
        self.assertTrue(wait_until(lambda: not any(map(is_alive, workers)), SECONDS), "a worker outlives its client")
        self.broker.await_accounts(clients=0)

    def test_a_program_that_starts_between_two_brokers_waits_for_the_next(self):
        self.broker.step_down()
        early = subprocess.Popen([self.program], env=self.broker.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.addCleanup(lambda: early.poll() is None and early.kill())
        self.assertTrue(wait_until(lambda: "libcuda.so.1" in maps_of(early.pid), SECONDS))
        self.broker.start_again()
        said, _ = early.communicate(timeout=SECONDS)
        self.assertEqual(early.returncode, 0, said)

    def test_sigterm_still_ends_everything(self):
        self.start_clients(1)
        workers = self.broker.workers()
        os.kill(self.broker.pid, signal.SIGTERM)
        self.assertTrue(wait_until(lambda: not any(map(is_alive, workers)), SECONDS), self.log())
        self.assertTrue(wait_until(lambda: not self.broker.socket.exists(), SECONDS), self.log())

    def test_workers_ignore_the_signal(self):
        """A service manager may send it to the whole control group."""
        client, = self.start_clients(1)
        for worker in self.broker.workers():
            os.kill(worker, signal.SIGQUIT)
        self.assertEqual(client.ask(), "right")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
