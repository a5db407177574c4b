# SPDX-License-Identifier: Apache-2.0
"""test_relaunch.py BUILD [--rounds N]: brokers come and go under two clients that compute, and no call is lost."""
import argparse
import os
import pathlib
import signal
import sys
import threading
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "scripts" / "lib"))
from harness.computing import Computing  # noqa: E402
from harness.layout import Layout  # noqa: E402
from harness.private_broker import PrivateBroker, SteadyClient  # noqa: E402
from harness.processes import is_alive, wait_until  # noqa: E402

arguments = argparse.ArgumentParser()
arguments.add_argument("build", type=pathlib.Path)
arguments.add_argument("--rounds", type=int, default=100)
OPTIONS = arguments.parse_args()
LAYOUT = Layout(OPTIONS.build.resolve())
SECONDS = 60


class Relaunch(unittest.TestCase):
    def setUp(self):
        self.broker = self.enterContext(PrivateBroker(LAYOUT, "sim"))
        self.program = LAYOUT.program("demo_driver")
        self.clients = [self.enterContext(SteadyClient(self.program, self.broker.environment(), SECONDS)) for _ in range(2)]
        self.workers = self.broker.workers()
        self.computing = [Computing(client) for client in self.clients]
        self.addCleanup(lambda: [one.stop() for one in self.computing])

    def count(self, text: str) -> int:
        return self.broker.log_tail(lines=1_000_000).count(text)

    def await_taken_back(self, times: int) -> None:
        self.assertTrue(wait_until(lambda: self.count("took back client") == 2 * times, SECONDS), self.broker.log_tail())

    def check_nothing_was_lost(self) -> None:
        for one in self.computing:
            one.stop()
            self.assertEqual(one.wrong, [])
            self.assertGreater(one.answers, 0)
        for client in self.clients:
            self.assertEqual(client.finish(), (0, ""))
        self.assertTrue(wait_until(lambda: not any(map(is_alive, self.workers)), SECONDS), "a worker outlives its client")
        self.broker.await_accounts(clients=0)

    def test_relaunched(self):
        pid = self.broker.pid
        for done in range(1, OPTIONS.rounds + 1):
            os.kill(self.broker.pid, signal.SIGUSR2)
            self.await_taken_back(done)
        self.assertEqual(self.broker.pid, pid)
        self.assertTrue(is_alive(pid))
        self.broker.await_accounts(clients=2)
        self.check_nothing_was_lost()

    def test_killed_and_restarted(self):
        for done in range(1, max(1, OPTIONS.rounds // 4) + 1):
            self.broker.kill()
            self.broker.start_again()
            self.await_taken_back(done)
        self.broker.await_accounts(clients=2)
        self.check_nothing_was_lost()

    def test_programs_that_start_meanwhile_find_their_broker(self):
        stop = threading.Event()

        def relaunch() -> None:
            while not stop.wait(0.05):
                os.kill(self.broker.pid, signal.SIGUSR2)

        relauncher = threading.Thread(target=relaunch)
        relauncher.start()
        try:
            for _ in range(max(1, OPTIONS.rounds // 10)):
                done = self.broker.run([self.program], SECONDS)
                self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        finally:
            stop.set()
            relauncher.join()
        self.check_nothing_was_lost()


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
