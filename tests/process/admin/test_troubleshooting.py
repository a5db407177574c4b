# SPDX-License-Identifier: Apache-2.0
"""test_troubleshooting.py BUILD: entries of docs/operations.md's tables that no other test brings about and cures."""
import os
import pathlib
import signal
import socket
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "scripts" / "lib"))
sys.path.insert(0, str(ROOT / "tests" / "process" / "legacy"))
from field_stub import ADD, QUARANTINED, REQUEST, FieldStub, call  # noqa: E402
from harness.admin import AdministeredBroker  # noqa: E402
from harness.layout import Layout  # noqa: E402
from harness.private_broker import SteadyClient  # noqa: E402
from harness.processes import wait_until  # noqa: E402

LAYOUT = Layout(pathlib.Path(sys.argv.pop(1)).resolve())
SECONDS = 30


class Entries(unittest.TestCase):
    def broker(self, of_broker: str = "") -> AdministeredBroker:
        return self.enterContext(AdministeredBroker(LAYOUT, of_broker=of_broker))

    def relaunch(self, broker: AdministeredBroker) -> None:
        seen = broker.log_tail(1_000_000).count("listening on")
        os.kill(broker.pid, signal.SIGUSR2)
        self.assertTrue(wait_until(lambda: broker.log_tail(1_000_000).count("listening on") > seen, SECONDS), broker.log_tail())

    def test_legacy_request_in_quarantine(self):
        broker = self.broker()
        stub = self.enterContext(FieldStub(broker.vm_socket, vm_id=1, seconds=SECONDS))
        self.assertEqual(stub.add(1, 2), 3)
        self.assertEqual(broker.ask("status")["processed"]["legacy_requests"], 1)
        [vm] = [one for one in broker.list("vms") if one["vm"] == "a"]
        self.assertEqual((vm["link"], vm["stub"]["pid"], vm["processed"]["total"]), ("legacy", os.getpid(), 1))
        self.assertEqual([(one["vm"], one["state"]) for one in broker.list("workers")], [("a", "legacy")])
        broker.ask("quarantine", "a")
        stub.send(REQUEST, call(ADD, 1, 2))
        self.assertEqual(stub.receive().type, QUARANTINED)
        broker.ask("release", "a")
        self.assertEqual(stub.add(2, 3), 5)
        self.relaunch(broker)
        self.assertEqual(broker.ask("status")["processed"]["legacy_requests"], 2)

    def test_all_places_of_a_user_are_taken(self):
        broker = self.broker("max_clients_per_uid = 1")
        program = LAYOUT.program("demo_driver")
        client = self.enterContext(SteadyClient(program, broker.environment(), SECONDS))
        done = broker.run([program], SECONDS)
        self.assertEqual(done.returncode, 1)
        self.assertIn("already has 1 clients (max_clients_per_uid", done.stderr)
        broker.configure("max_clients_per_uid = 2", broker.of_vm)
        self.relaunch(broker)
        self.assertEqual(broker.run([program], SECONDS).returncode, 0)
        self.assertEqual(client.ask(), "right")
        [one] = [entry for entry in broker.list("clients") if entry["pid"] == client.pid]
        broker.ask("kill", one["client"])
        self.assertTrue(wait_until(lambda: not broker.list("clients"), SECONDS))

    def test_old_mediator_in_the_way(self):
        broker = self.broker()
        broker.stop()
        with socket.socket(socket.AF_UNIX) as old:
            old.bind(str(broker.socket))
            old.listen()
            refused = subprocess.run(broker.command(), capture_output=True, text=True, timeout=SECONDS)
        self.assertEqual(refused.returncode, 1)
        self.assertIn(f"another broker (pid {os.getpid()}) serves {broker.socket}", refused.stderr)
        broker.start_again()  # it has ended; the file that it left is replaced
        broker.exit_status = None
        self.assertEqual(broker.run([LAYOUT.program("demo_driver")], SECONDS).returncode, 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
