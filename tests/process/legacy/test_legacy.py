# SPDX-License-Identifier: Apache-2.0
"""test_legacy.py BUILD: every message and every error of the field's protocol, at the socket of a VM."""
import argparse
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time
import unittest

from field_stub import ADD, BUSY, CALL, INFORMATION, NO_OP, OLD_CUDA, PING, PONG, QUARANTINED, REQUEST, RESPONSE, VERSION, FieldStub, call

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "scripts" / "lib"))
from harness.layout import Layout  # noqa: E402
from harness.processes import is_alive, wait_until  # noqa: E402
from vm.broker import VmBroker  # noqa: E402

arguments = argparse.ArgumentParser()
arguments.add_argument("build", type=pathlib.Path)
OPTIONS, WORDS = arguments.parse_known_args()
LAYOUT = Layout(OPTIONS.build.resolve())
SECONDS = 30
INVALID_REQUEST, TOO_LARGE, UNAVAILABLE, TIMEOUT, CUDA_ERROR, INVALID_POOL, QUEUE_FULL, UNSUPPORTED, INVALID_LENGTH = range(1, 10)
QUEUE = 64  # requests that may wait behind the one that is computed


class Legacy(unittest.TestCase):
    SETTINGS = "legacy_rate = 100000\nlegacy_timeout_ms = 25000"  # on a busy machine a worker takes seconds to start

    def setUp(self):
        self.broker = self.enterContext(VmBroker(LAYOUT, ("one", "two"), more=self.SETTINGS))

    def stub(self, vm: str = "one", **options) -> FieldStub:
        options = {"vm_id": 1 if vm == "one" else 2} | options
        return self.enterContext(FieldStub(self.broker.socket_of(vm), seconds=SECONDS, **options))

    def status_of(self, payload: bytes, **lies) -> int:
        stub = self.stub()
        stub.send(REQUEST, payload, **lies)
        answer = stub.receive()
        self.assertEqual(answer.type, RESPONSE)
        self.assertEqual((answer.version, answer.results), (VERSION, ()))
        return answer.status

    def worker(self) -> int:
        self.assertTrue(wait_until(lambda: len(self.broker.legacy_workers()) == 1, SECONDS), self.broker.log_tail())
        return self.broker.legacy_workers()[0]

    def logged(self, pattern: str) -> list[str]:
        return re.findall(pattern, self.broker.log.read_text(errors="replace"))

    def check_logged(self, pattern: str, times: int | None = None) -> None:
        self.assertTrue(wait_until(lambda: self.logged(pattern), SECONDS), f"{pattern} is not in:\n{self.broker.log_tail()}")
        if times is not None:
            self.assertEqual(len(self.logged(pattern)), times, self.broker.log_tail())


class Requests(Legacy):
    def test_two_numbers_are_added_on_the_gpu(self):
        stub = self.stub(vm_id=7, pool=b"B", priority=2)
        answer = stub.ask(call(ADD, 100, 200))
        self.assertEqual((answer.type, answer.vm_id, answer.pool, answer.priority), (RESPONSE, 7, b"B", 2))
        self.assertEqual((answer.version, answer.status, answer.results, answer.data), (VERSION, 0, (300,), b""))
        self.assertEqual(stub.add(0xFFFFFFFF, 2), 1)
        # Pool and priority are what the configuration says, not the stub.
        self.check_logged(r"\[ENQUEUE\] Pool A: vm=7, req_id=1, prio=1, 100\+200")
        self.check_logged(r"\[RESULT\] vm=7, req_id=1: 300")

    def test_a_no_op_is_answered(self):
        answer = self.stub().ask(call(NO_OP))
        self.assertEqual((answer.type, answer.status, answer.results), (RESPONSE, 0, ()))

    def test_the_device_says_what_it_is(self):
        answer = self.stub().ask(call(INFORMATION))
        self.assertEqual(answer.status, 0)
        self.assertEqual(len(answer.results), 8)
        devices, driver_version = answer.results[:2]
        self.assertGreaterEqual(devices, 1)
        self.assertGreaterEqual(driver_version, 11000)
        self.assertEqual(answer.results[7], 1, "this is the software GPU")
        self.assertTrue(answer.data.isascii() and answer.data, answer.data)

    def test_data_behind_the_parameters_is_let_through(self):
        answer = self.stub().ask(call(ADD, 1, 2, data=b"x" * (1024 - CALL.size - 8)))
        self.assertEqual((answer.status, answer.results), (0, (3,)))

    def test_ping(self):
        stub = self.stub(vm_id=3)
        number = stub.send(PING)
        answer = stub.receive()
        self.assertEqual((answer.type, answer.vm_id, answer.request_id, answer.payload), (PONG, 3, number, b""))
        self.assertEqual(self.broker.legacy_workers(), [], "a ping needs no worker")

    def test_ten_thousand_on_one_connection(self):
        stub = self.stub()
        for number in range(10_000):
            self.assertEqual(stub.add(number, 1), number + 1)
        self.assertEqual(len(self.broker.legacy_workers()), 1)

    def test_several_at_once_are_answered_in_their_order(self):
        stub = self.stub()
        stub.socket.sendall(b"".join(stub.message(REQUEST, call(ADD, n, n)) for n in range(QUEUE)))
        answers = [stub.receive() for _ in range(QUEUE)]
        self.assertEqual([answer.results for answer in answers], [(2 * n,) for n in range(QUEUE)])
        self.assertEqual([answer.request_id for answer in answers], list(range(1, QUEUE + 1)))

    def test_a_message_may_come_in_pieces(self):
        stub = self.stub()
        for byte in stub.message(REQUEST, call(ADD, 20, 22)):
            stub.socket.sendall(bytes([byte]))
        self.assertEqual(stub.receive().results, (42,))

    def test_two_stubs_of_a_vm_and_one_of_another_get_their_own_answers(self):
        stubs = [self.stub(), self.stub(), self.stub("two")]
        for index, stub in enumerate(stubs):
            stub.send(REQUEST, call(ADD, index, 10))
        self.assertEqual([stub.receive().results for stub in stubs], [(10,), (11,), (12,)])
        self.assertEqual(len(self.broker.legacy_workers()), 2, "each VM has a worker of its own")

    def test_a_stub_that_leaves_before_its_answer(self):
        stub = self.stub()
        stub.add(1, 1)
        os.kill(self.worker(), signal.SIGSTOP)
        for _ in range(5):
            stub.send(REQUEST, call(ADD, 1, 1))
        stub.socket.close()
        os.kill(self.worker(), signal.SIGCONT)
        self.assertEqual(self.stub().add(2, 2), 4)


class Errors(Legacy):
    def test_1_invalid_request(self):
        self.assertEqual(self.status_of(call(NO_OP, version=0x00020000)), INVALID_REQUEST)
        self.assertEqual(self.status_of(call(ADD, 1)), INVALID_REQUEST)
        self.assertEqual(self.status_of(call(ADD, 1, 2, 3)), INVALID_REQUEST)

    def test_2_too_large(self):
        stub = self.stub()
        stub.send(REQUEST, call(NO_OP) + bytes(1025 - CALL.size))
        self.assertEqual(stub.receive().status, TOO_LARGE)
        self.assertEqual(stub.add(1, 2), 3, "the connection goes on behind what was read over")
        stub.send(REQUEST, bytes(1_000_000))
        self.assertEqual(stub.receive().status, TOO_LARGE)
        self.assertEqual(stub.add(1, 2), 3)

    def test_3_the_mediator_ends(self):
        stub = self.stub()
        stub.add(1, 1)
        os.kill(self.worker(), signal.SIGSTOP)
        for _ in range(3):
            stub.send(REQUEST, call(ADD, 1, 1))
        stub.send(PING)
        while stub.receive().type != PONG:  # then the others have come too
            pass
        self.broker.end()
        self.assertEqual([stub.receive().status for _ in range(3)], [UNAVAILABLE] * 3)
        self.assertTrue(stub.is_cut_off())
        self.broker.start_again()
        self.assertEqual(self.stub().add(1, 2), 3)

    def test_5_the_worker_dies(self):
        stub = self.stub()
        stub.add(1, 1)
        worker = self.worker()
        os.kill(worker, signal.SIGSTOP)
        stub.send(REQUEST, call(ADD, 1, 1))
        stub.send(REQUEST, call(ADD, 2, 3))
        os.kill(worker, signal.SIGKILL)
        self.assertEqual(stub.receive().status, CUDA_ERROR)
        self.assertEqual(stub.receive().results, (5,), "what waited is computed by the next worker")
        self.assertNotEqual(self.worker(), worker)
        self.check_logged(r"\[RESULT\] .*error 5 \(CUDA_ERROR\): the worker ended: killed by signal 9")

    def test_6_no_such_pool(self):
        stub = self.stub(pool=b"Q")
        self.assertEqual(stub.ask(call(NO_OP)).status, INVALID_POOL)

    def test_7_too_many_wait(self):
        stub = self.stub()
        stub.add(1, 1)
        os.kill(self.worker(), signal.SIGSTOP)
        number = stub.next_id
        stub.socket.sendall(b"".join(stub.message(REQUEST, call(NO_OP)) for _ in range(QUEUE + 3)))
        for n in range(2):  # the first is being computed; 64 wait
            refused = stub.receive()
            self.assertEqual((refused.request_id, refused.status), (number + QUEUE + 1 + n, QUEUE_FULL))
        os.kill(self.worker(), signal.SIGCONT)
        self.assertEqual([stub.receive().status for _ in range(QUEUE + 1)], [0] * (QUEUE + 1))

    def test_8_unsupported(self):
        for opcode in (2, 3, 4, 6, 0xFFFFFFFF):
            self.assertEqual(self.status_of(call(opcode)), UNSUPPORTED)
        stub = self.stub()
        for old in OLD_CUDA:
            for size in (0, 16, 100_000):
                stub.send(old, bytes(size))
                answer = stub.receive()
                self.assertEqual((answer.type, answer.status), (RESPONSE, UNSUPPORTED))
        self.assertEqual(stub.add(1, 2), 3)

    def test_11_quarantined_until_it_is_released(self):
        stub = self.stub()
        self.assertEqual(stub.add(1, 2), 3)
        self.admin("quarantine", "one")
        stub.send(REQUEST, call(ADD, 1, 2))
        answer = stub.receive()
        self.assertEqual(answer.type, QUARANTINED, answer)
        self.assertEqual(self.stub("two").add(20, 22), 42)
        self.admin("release", "one")
        self.assertEqual(stub.add(1, 2), 3)

    def admin(self, *words: str) -> None:
        command = [LAYOUT.program("vgpu-admin"), *words, "--socket", f"{self.broker.socket}.admin"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_9_invalid_length(self):
        for payload in (b"", b"x", call(NO_OP)[:-1], call(ADD, 1, 2)[:-1], call(NO_OP, count=1), call(NO_OP, count=0xFFFFFFFF), call(NO_OP, count=0x40000000)):
            self.assertEqual(self.status_of(payload), INVALID_LENGTH, payload.hex())
        for lie in ({"length": 1}, {"offset": 0, "length": 8}, {"offset": 0xFFFFFFF0, "length": 0x20}, {"length": 0xFFFFFFFF}):
            self.assertEqual(self.status_of(call(ADD, 1, 2, **lie)), INVALID_LENGTH, str(lie))


class Timeouts(Legacy):
    TIMEOUT_MS = 2000
    SETTINGS = f"legacy_rate = 100000\nlegacy_timeout_ms = {TIMEOUT_MS}"

    def test_a_worker_that_hangs(self):
        stub, other = self.stub(), self.stub("two")
        stub.add(1, 1)
        worker = self.worker()
        os.kill(worker, signal.SIGSTOP)
        begin = time.monotonic()
        stub.send(REQUEST, call(ADD, 1, 1))
        self.assertEqual(other.add(5, 6), 11, "another VM computes meanwhile")
        self.assertEqual(stub.receive().status, TIMEOUT)
        self.assertGreaterEqual(time.monotonic() - begin, self.TIMEOUT_MS / 1000)
        self.assertTrue(wait_until(lambda: not is_alive(worker), SECONDS), "the worker that hangs is not ended")
        self.assertEqual(stub.add(2, 3), 5)

    def test_requests_that_wait_behind_it(self):
        stub = self.stub()
        stub.add(1, 1)
        os.kill(self.worker(), signal.SIGSTOP)
        for _ in range(5):
            stub.send(REQUEST, call(ADD, 1, 1))
        statuses = [stub.receive().status for _ in range(5)]
        self.assertEqual(statuses[0], TIMEOUT)
        self.assertLessEqual(set(statuses), {0, TIMEOUT})
        self.assertEqual(stub.add(2, 3), 5)


class Limits(Legacy):
    SETTINGS = "legacy_rate = 4"

    def test_more_than_the_rate_are_told_that_we_are_busy(self):
        stub, other = self.stub(), self.stub("two")
        stub.socket.sendall(b"".join(stub.message(REQUEST, call(NO_OP)) for _ in range(80)))
        answers = [stub.receive() for _ in range(80)]
        busy = [answer for answer in answers if answer.type == BUSY]
        self.assertGreaterEqual(len(busy), 30)
        self.assertEqual({answer.payload for answer in busy}, {b""})
        self.assertEqual(len(answers) - len(busy), sum(answer.type == RESPONSE and answer.status == 0 for answer in answers))
        self.assertEqual(other.add(1, 2), 3, "another VM has a rate of its own")
        self.assertTrue(wait_until(lambda: stub.ask(call(NO_OP)).type == RESPONSE, SECONDS), "it stays busy")

    def test_what_a_guest_makes_us_write_is_bounded(self):
        stub = self.stub()
        for _ in range(2000):
            stub.send(REQUEST, b"")
            stub.receive()
        self.assertLess(len(self.logged(r"\[(?:ENQUEUE|RESULT)\]")), 150)


class Malformed(Legacy):
    """Whatever one sends, another VM's stub computes."""

    def setUp(self):
        super().setUp()
        self.neighbour = self.stub("two")
        self.sums = 0
        self.is_over = threading.Event()
        self.failure: Exception | None = None
        self.thread = threading.Thread(target=self.compute)
        self.thread.start()
        self.addCleanup(self.thread.join)
        self.addCleanup(self.is_over.set)

    def compute(self) -> None:
        try:
            while not self.is_over.is_set():
                if self.neighbour.add(self.sums, 3) != self.sums + 3:
                    raise ValueError("a wrong sum")
                self.sums += 1
        except Exception as failure:  # noqa: BLE001: told by the test
            self.failure = failure

    def check_neighbour(self) -> None:
        before = self.sums
        self.assertTrue(wait_until(lambda: self.sums > before + 10 or self.failure, SECONDS), "the neighbour waits")
        self.assertIsNone(self.failure)

    def refused(self, data: bytes) -> None:
        stub = self.stub()
        try:
            stub.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it need not read all of it
        self.assertTrue(stub.is_cut_off())

    def test_messages_that_are_none(self):
        stub = self.stub()
        for type in (0, 2, 4, 5, 6, 7, 0x13, 0xFFFFFFFF):
            self.refused(stub.message(type))
        self.refused(stub.message(REQUEST, length=0xFFFFFFFF))
        self.check_neighbour()

    def test_a_stub_that_becomes_another(self):
        stub = self.stub(vm_id=1)
        stub.add(1, 1)
        stub.vm_id = 3
        stub.send(REQUEST, call(ADD, 1, 1))
        self.assertTrue(stub.is_cut_off())
        self.check_neighbour()

    def refused_after_pong(self, data: bytes) -> None:
        stub = self.stub()
        stub.socket.sendall(data)
        self.assertEqual(stub.receive().type, PONG)
        self.assertTrue(stub.is_cut_off())

    def test_what_comes_before_nonsense_is_answered(self):
        stub = self.stub()
        self.refused_after_pong(stub.message(PING) + stub.message(PING, magic=0x12345678))
        self.check_neighbour()

    def test_a_line_of_text_costs_a_line(self):
        before = len(self.broker.log.read_text().splitlines())
        stub = self.stub()
        stub.socket.sendall(b"test\n")
        stub.socket.shutdown(1)
        self.assertTrue(stub.is_cut_off())
        self.check_neighbour()
        lines = self.broker.log.read_text().splitlines()[before:]
        told = [line for line in lines if "VM two" not in line]
        self.assertEqual(len(told), 1, "\n".join(lines))

    def test_a_message_that_stays_half(self):
        first, later, silent = (self.stub() for _ in range(3))
        first.socket.sendall(first.message(REQUEST, call(NO_OP))[:-1])
        for stub in (later, silent):
            stub.send(PING)
            self.assertEqual(stub.receive().type, PONG)
        later.socket.sendall(first.message(PING)[:8])
        self.assertTrue(first.is_cut_off())
        self.assertTrue(later.is_cut_off())
        self.check_logged("no message came in time", times=1)
        self.check_logged("a message stayed incomplete", times=1)
        silent.send(PING)
        self.assertEqual(silent.receive().type, PONG, "between messages a stub may be silent")
        self.check_neighbour()

    def test_a_stub_that_reads_nothing(self):
        stub = self.stub()
        with self.assertRaises(OSError):
            for _ in range(100_000):
                stub.send(PING)
        self.check_neighbour()

    def test_too_many_connections(self):
        stubs = [self.stub() for _ in range(16)]
        for stub in stubs:
            stub.send(PING)
            self.assertEqual(stub.receive().type, PONG)
        self.refused(self.stub().message(PING))
        stubs[3].socket.close()
        self.assertTrue(wait_until(self.is_let_in, SECONDS), "the place of one that left is not free")
        self.check_neighbour()

    def is_let_in(self) -> bool:
        stub = self.stub()
        stub.send(PING)
        try:
            return stub.receive().type == PONG
        except Exception:  # noqa: BLE001: not yet
            return False


class Lives(Legacy):
    def test_a_broker_that_is_relaunched_leaves_no_worker_behind(self):
        stub = self.stub()
        stub.add(1, 1)
        worker = self.worker()
        os.kill(self.broker.pid, signal.SIGUSR2)
        self.assertTrue(wait_until(lambda: not pathlib.Path(f"/proc/{worker}").exists(), SECONDS), "it stays, or nobody takes its end")
        self.assertTrue(stub.is_cut_off())
        # The sockets of VMs are made anew: for a moment nobody listens there.
        self.assertTrue(wait_until(self.is_served_again, SECONDS), "the relaunched broker does not serve")

    def is_served_again(self) -> bool:
        try:
            return self.stub().add(1, 2) == 3
        except (ConnectionError, FileNotFoundError):
            return False

    def test_a_broker_that_is_killed_takes_a_worker_that_hangs_along(self):
        self.stub().add(1, 1)
        worker = self.worker()
        os.kill(worker, signal.SIGSTOP)
        self.broker.kill()
        self.assertTrue(wait_until(lambda: not is_alive(worker), SECONDS))
        self.broker.start_again()
        self.assertEqual(self.stub().add(1, 2), 3)

    def test_no_driver(self):
        self.broker.end()
        self.broker.driver = "/nowhere/libcuda.so.1"
        self.broker.start_again()
        stub = self.stub()
        self.assertEqual(stub.ask(call(NO_OP)).status, 0)
        self.assertEqual(stub.ask(call(ADD, 1, 2)).status, CUDA_ERROR)
        self.assertEqual(stub.ask(call(INFORMATION)).status, CUDA_ERROR)
        self.assertEqual(stub.ask(call(NO_OP)).status, 0)
        self.check_logged(r"error 5 \(CUDA_ERROR\): cannot open the CUDA driver /nowhere")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *WORDS], verbosity=2)
