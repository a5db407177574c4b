# SPDX-License-Identifier: Apache-2.0
"""The field's requests through BAR0 of a guest: every operation, and every error that a guest can come to."""
import contextlib
import os
import pathlib
import signal
import struct
import subprocess
import sys
import threading
import time

import bench
from harness.processes import wait_until

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "process" / "legacy"))
from field_stub import ADD, BUSY, INFORMATION, NO_OP, FieldStub, call  # noqa: E402

SECONDS = 90
RATE, TIMEOUT_MS = 200, 2000
INVALID_REQUEST, TOO_LARGE, UNAVAILABLE, TIMEOUT, CUDA_ERROR, UNSUPPORTED, INVALID_LENGTH, RATE_LIMITED, QUARANTINED = 1, 2, 3, 4, 5, 8, 9, 10, 11


class OneGuest(bench.VmTest):
    @classmethod
    def setUpClass(cls):
        more = f"legacy_rate = {RATE}\nlegacy_timeout_ms = {TIMEOUT_MS}\n"
        cls.broker = cls.enterClassContext(bench.vm_broker("one", "two", more=more))
        cls.guest = cls.enterClassContext(bench.vgpu_guest(cls.broker.device("one"), "one"))
        cls.guests = (cls.guest,)

    # ---- what a guest asks ------------------------------------------------------------------------------------------

    def ask(self, payload: bytes, length: int | None = None, times: int = 1) -> list[str]:
        """What vgpu-vm-legacy says, line by line."""
        padded = payload + bytes(-len(payload) % 4)
        words = [hex(word) for (word,) in struct.iter_unpack("<I", padded)]
        command = ["vgpu-vm-legacy", "--times", str(times), str(len(payload) if length is None else length), *words]
        result = self.guest.run(command, SECONDS, user=0)
        self.assertEqual((result.status, result.stderr), (0, ""), result.stdout)
        return result.stdout.splitlines()

    def outcome(self, payload: bytes, **options) -> str:
        return self.ask(payload, **options)[1]

    def response(self, payload: bytes, **options) -> tuple[int, ...]:
        """The words of a response."""
        state, _, words = self.outcome(payload, **options).partition(": ")
        self.assertTrue(state.startswith("DONE "), state)
        return tuple(int(word, 16) for word in words.split())

    def add(self) -> tuple[int, str, str]:
        result = self.guest.run(["vgpu-guest", "add", "100", "200"], SECONDS, user=0)
        return result.status, result.stdout, result.stderr

    def check_sum(self) -> None:
        self.assertEqual(self.add(), (0, "[RESPONSE] Received: 300\nResult: 100 + 200 = 300\n", ""))

    def worker(self) -> int:
        self.assertTrue(wait_until(lambda: len(self.broker.legacy_workers()) == 1, SECONDS))
        return self.broker.legacy_workers()[0]

    # ---- stories ----------------------------------------------------------------------------------------------------

    def test_the_fields_programs(self):
        self.check_sum()
        result = self.guest.run(["vgpu-guest", "self-test"], SECONDS, user=0)
        self.assertEqual(result.status, 0, result.stdout + result.stderr)
        self.assertIn("PASS  legacy    [RESPONSE] Received: 300; Result: 100 + 200 = 300", result.stdout)
        self.assertGreater(self.broker.line_count("[ENQUEUE] Pool A: vm=1, req_id="), 0)
        self.assertEqual(self.guest.run(["vgpu-guest", "add", "1", "2"], SECONDS).status, 1, "the registers are root's")

    def test_quarantine(self):
        self.admin("quarantine", "one")
        self.assertEqual(self.outcome(call(ADD, 1, 2)), f"ERROR {QUARANTINED}")
        status, _, errors = self.add()
        self.assertNotEqual(status, 0)
        self.assertIn("code=11 (QUARANTINED)", errors)
        self.admin("release", "one")
        self.check_sum()

    def admin(self, *words: str) -> None:
        command = [bench.LAYOUT.program("vgpu-admin"), *words, "--socket", f"{self.broker.socket}.admin"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_before_the_daemon_was_started(self):
        bench.Guest.reset(self.guest)  # without what a guest's package starts
        said = self.guest.run(["vgpu-guest", "doctor"], SECONDS, user=0)
        self.assertEqual(said.status, 1, said.stdout)
        self.assertIn("FAIL  enabled", said.stdout)
        self.assertIn("systemctl start vgpu-guestd", said.stdout)
        self.guest.equip()
        self.check_sum()
        for words in (["doctor"], ["self-test"]):
            said = self.guest.run(["vgpu-guest", *words], SECONDS, user=0)
            self.assertEqual(said.status, 0, said.stdout)

    def test_registers_and_operations(self):
        registers = self.guest.run(["vgpu-vm-legacy", "--registers"], SECONDS, user=0).stdout.split()
        self.assertEqual(registers[2:5] + registers[8:], ["00000041", "00000001", "00000001", "00010000", "00000101"])
        self.assertEqual(self.response(call(NO_OP))[:3], (0x00010000, 0, 0))
        self.assertEqual(self.response(call(ADD, 0xFFFFFFFF, 3))[8:], (2,))
        information = self.response(call(INFORMATION))
        self.assertEqual((information[1], information[2]), (0, 8))
        self.assertGreater(information[4], 0, "the device's name")

    def test_many_in_a_row(self):
        lines = self.ask(call(ADD, 20, 22), times=300)
        self.assertEqual(lines[0], "300 times")
        self.assertTrue(lines[1].endswith(" 0000002a"), lines[1])

    def test_what_is_malformed_is_refused_while_another_vm_computes(self):
        with self.neighbour() as sums:
            for payload, error in ((call(NO_OP, version=1), INVALID_REQUEST), (call(ADD, 1), INVALID_REQUEST), (call(4), UNSUPPORTED),
                                   (call(NO_OP, count=7), INVALID_LENGTH), (call(ADD, 1, 2, length=0xFFFFFFFF), INVALID_LENGTH)):
                self.assertEqual(self.outcome(payload), f"ERROR {error}", payload.hex())
            self.assertEqual(self.outcome(b"", length=0), f"ERROR {INVALID_LENGTH}")
            self.assertEqual(self.outcome(call(NO_OP), length=31), f"ERROR {INVALID_LENGTH}")
            self.assertEqual(self.outcome(call(NO_OP), length=1025), f"ERROR {TOO_LARGE}")
            self.assertEqual(self.outcome(call(NO_OP), length=0xFFFFFFFF), f"ERROR {TOO_LARGE}")
            self.assertTrue(wait_until(lambda: len(sums) > 10, SECONDS), "the other VM does not compute")
        self.check_sum()

    def test_a_worker_that_dies_and_one_that_hangs(self):
        self.check_sum()
        os.kill(self.worker(), signal.SIGSTOP)
        status, said, errors = self.add()
        self.assertEqual((status, said), (1, ""))
        self.assertIn(f"[ERROR] Device error: code={TIMEOUT} (TIMEOUT)\n", errors)
        self.check_sum()
        worker = self.worker()
        os.kill(worker, signal.SIGSTOP)
        asking = self.guest.start(["vgpu-guest", "add", "100", "200"], user=0)
        killing = threading.Timer(TIMEOUT_MS / 2000, os.kill, (worker, signal.SIGKILL))
        killing.start()
        self.addCleanup(killing.join)
        self.assertIn(f"[ERROR] Device error: code={CUDA_ERROR} (CUDA_ERROR)\n", asking.wait(SECONDS).stderr)
        self.check_sum()

    def test_too_many_are_told_so(self):
        """A guest that is translated cannot ask that fast; its VM can: the rate is the VM's."""
        with self.repeating("one", lambda stub: stub.ask(call(NO_OP)).type) as answers:
            self.assertTrue(wait_until(lambda: BUSY in answers, SECONDS))
            self.assertEqual(self.outcome(call(NO_OP), times=1000), f"ERROR {RATE_LIMITED}")
        self.assertTrue(wait_until(lambda: self.outcome(call(NO_OP)).startswith("DONE"), SECONDS))

    def test_a_broker_that_hangs_and_one_that_is_not_there(self):
        self.check_sum()
        os.kill(self.broker.pid, signal.SIGSTOP)
        try:
            self.assertEqual(self.outcome(call(NO_OP)), f"ERROR {TIMEOUT}")  # the device's own deadline
        finally:
            os.kill(self.broker.pid, signal.SIGCONT)
        self.check_sum()
        self.broker.end()
        status, said, errors = self.add()
        self.assertEqual((status, said), (1, ""))
        self.assertIn(f"[ERROR] Device error: code={UNAVAILABLE} (MEDIATOR_UNAVAILABLE)\n", errors)
        self.broker.start_again()
        self.guest.await_link_now(SECONDS)
        self.check_sum()

    @contextlib.contextmanager
    def neighbour(self):
        """The sums of another VM's stub, which go on meanwhile; all right, at the end."""
        sums: list[int] = []

        def add(stub: FieldStub) -> int:
            time.sleep(0.01)  # below its rate
            sums.append(stub.add(len(sums), 1))
            return sums[-1]

        with self.repeating("two", add):
            yield sums
        self.assertEqual(sums, list(range(1, len(sums) + 1)))

    @contextlib.contextmanager
    def repeating(self, vm: str, request):
        """A revision-2 stub of the VM that makes the request again and again meanwhile: its answers so far."""
        answers: list[int] = []
        is_over = threading.Event()
        with FieldStub(self.broker.socket_of(vm), vm_id=1 + self.broker.names.index(vm)) as stub:
            def repeat() -> None:
                while not is_over.is_set():
                    answers.append(request(stub))

            thread = threading.Thread(target=repeat)
            thread.start()
            try:
                yield answers
            finally:
                is_over.set()
                thread.join()


if __name__ == "__main__":
    bench.main()
