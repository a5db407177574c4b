# SPDX-License-Identifier: Apache-2.0
"""Everything that can end, ends while guests compute: the rest goes on, and nothing is left behind."""
import os
import signal

import bench
from harness.processes import is_alive, wait_until

SECONDS = 90


class OneGuest(bench.VmTest):
    """One guest, one broker for all of these: each story leaves them as it found them."""

    @classmethod
    def setUpClass(cls):
        cls.broker = cls.enterClassContext(bench.vm_broker("one"))
        cls.guest = cls.enterClassContext(bench.vgpu_guest(cls.broker.device("one"), "one"))
        cls.guests = (cls.guest,)

    def computing(self):
        program = self.guest.start(["round_trips", "0"])
        program.wait_for("at 100", SECONDS)
        return program

    def goes_on(self, program) -> None:
        """It makes more rounds from now on."""
        rounds = program.stdout.count("at ")
        self.assertTrue(wait_until(lambda: program.stdout.count("at ") >= rounds + 2 or not program.is_running, SECONDS), "it hangs")
        self.assertTrue(program.is_running, program.stdout[-500:] + program.stderr)

    def end_well(self, program) -> None:
        program.close_input()
        self.check_right(program.wait(SECONDS))
        self.broker.await_accounts(clients=0, workers=0)

    def test_a_program_is_killed_in_a_kernel(self):
        other = self.computing()
        spinning = self.guest.start(["fire_client", "stream"])
        spinning.wait_for("at stream", SECONDS)
        spinning.kill()
        self.assertEqual(spinning.wait(SECONDS).status, -signal.SIGKILL)
        self.broker.await_accounts(clients=1, workers=1)
        self.goes_on(other)
        self.end_well(other)

    def test_a_worker_is_killed(self):
        lost = self.computing()
        worker = self.broker.workers()[0]
        other = self.computing()
        os.kill(worker, signal.SIGKILL)
        result = lost.wait(SECONDS)
        self.assertEqual(result.status, 2, result.stdout[-500:])
        self.assertIn(" 0 wrong, CUDA_ERROR_", result.stdout)
        self.goes_on(other)
        self.end_well(other)

    def test_the_broker_is_killed_and_another_comes(self):
        program = self.computing()
        workers = self.broker.workers()
        self.broker.kill()
        self.goes_on(program)
        self.broker.start_again()
        self.broker.await_accounts(clients=1)
        self.guest.await_link_now(SECONDS)
        self.goes_on(program)
        self.assertTrue(all(map(is_alive, workers)))
        self.check_right(self.guest.run(["round_trips", "50"], SECONDS))
        program.close_input()
        self.check_right(program.wait(SECONDS))
        self.assertTrue(wait_until(lambda: not any(map(is_alive, workers)), SECONDS), "the worker outlives its program")
        self.broker.await_accounts(clients=0)

    def test_the_broker_is_stopped_and_another_comes(self):
        lost = self.computing()
        idle = self.guest.start(["demo_driver", "--steady"])
        idle.wait_for("right", SECONDS)
        ups = self.guest.link_ups()
        self.broker.end()
        result = lost.wait(SECONDS)
        self.assertEqual(result.status, 2, result.stdout[-500:])
        self.assertIn(" 0 wrong, CUDA_ERROR_", result.stdout)
        self.broker.start_again()
        self.guest.await_link(ups + 1, SECONDS)
        # The old window is gone. Who still has it wakes up beside a program that computes in the new one.
        other = self.computing()
        idle.write(b"\n")
        idle.wait_for("CUDA_ERROR_", SECONDS)
        self.goes_on(other)
        idle.close_input()
        self.assertEqual(idle.wait(SECONDS).status, 1)
        self.end_well(other)

    def test_guestd_is_killed_and_another_comes(self):
        program, leaving = self.computing(), self.computing()
        self.guest.guestd.kill()
        self.guest.guestd.wait(SECONDS)
        self.goes_on(program)
        leaving.kill()  # while nobody watches
        leaving.wait(SECONDS)
        self.guest.start_guestd()
        self.guest.await_link()
        self.broker.await_accounts(clients=1, workers=1)
        self.check_right(self.guest.run(["round_trips", "50"], SECONDS))
        self.goes_on(program)
        self.end_well(program)

    def test_the_guest_is_reset(self):
        secret = self.guest.run(["vgpu-vm-attacker", "fill", "0x5ec3e75ec3e75ec3"], SECONDS, user=0)
        self.assertIn("filled", secret.stdout)
        self.computing()
        workers = self.broker.workers()
        self.guest.reset()
        self.assertTrue(wait_until(lambda: not any(map(is_alive, workers)), SECONDS), f"worker {workers} outlives the guest that it worked for")
        self.broker.await_accounts(clients=0, workers=0)
        self.check_right(self.guest.run(["round_trips", "50"], SECONDS))
        found = self.guest.run(["vgpu-vm-attacker", "look", "0x5ec3e75ec3e75ec3"], SECONDS, user=0)
        self.assertIn("found 0 words", found.stdout, "the new window holds memory of the old life")

    def test_resets_in_a_row(self):
        self.computing()
        for _ in range(5):
            self.guest.press_reset()
        self.guest.reset()
        self.broker.await_accounts(clients=0, workers=0)
        self.check_right(self.guest.run(["round_trips", "50"], SECONDS))


class Machines(bench.VmTest):
    def test_the_broker_comes_after_the_guest(self):
        self.broker = bench.vm_broker("one")
        guest = bench.vgpu_guest(self.broker.device("one"), "one", link_is_awaited=False)
        self.guests = (guest,)
        with guest:
            result = guest.run(["demo_driver"], SECONDS)
            self.assertEqual(result.status, 1, result.stdout)
            self.assertIn("cannot start: error", result.stderr)
            doctor = guest.run(["vgpu-guest", "doctor"], SECONDS)
            self.assertEqual(doctor.status, 1, doctor.stdout)
            self.assertRegex(doctor.stdout, r"(?s)FAIL  link .*No such file or directory.*remedy: .*start vgpu-broker")
            waiting_since = guest.boot_id
            with self.broker:
                guest.await_link()
                self.check_right(guest.run(["round_trips", "50"], SECONDS))
            self.assertEqual(guest.boot_id, waiting_since)


class TwoGuests(bench.VmTest):
    def setUp(self):
        self.broker = self.enterContext(bench.vm_broker("one", "two"))
        self.guests = [bench.vgpu_guest(self.broker.device(name), name, processors=1) for name in ("one", "two")]
        self.enterContext(bench.booted(*self.guests))
        self.programs = [guest.start(["round_trips", "0"]) for guest in self.guests]
        for program in self.programs:
            program.wait_for("at 100", SECONDS)
        self.broker.await_accounts(clients=2, workers=2)

    def end_well(self, program) -> None:
        program.close_input()
        self.check_right(program.wait(SECONDS))

    def test_qemu_is_killed(self):
        self.guests[0].kill()
        self.broker.await_accounts(clients=1, workers=1)
        self.end_well(self.programs[1])
        self.broker.await_accounts(clients=0, workers=0)
        with bench.vgpu_guest(self.broker.device("one"), "one") as again:
            self.guests = (again,)
            self.check_right(again.run(["round_trips", "50"], SECONDS))

    def test_a_paused_guest_loses_nothing(self):
        self.guests[0].pause()
        rounds = self.programs[0].stdout.count("at ")
        self.check_right(self.guests[1].run(["round_trips", "500"], SECONDS))
        self.broker.await_accounts(clients=2, workers=2)
        self.guests[0].resume()
        self.assertTrue(wait_until(lambda: self.programs[0].stdout.count("at ") > rounds + 1, SECONDS), "it hangs")
        for program in self.programs:
            self.end_well(program)

    def test_brokers_come_and_go(self):
        workers = self.broker.workers()
        for _ in range(3):
            self.broker.kill()
            self.broker.start_again()
            self.broker.await_accounts(clients=2)
        self.assertTrue(all(map(is_alive, workers)))
        for guest, program in zip(self.guests, self.programs):
            guest.await_link_now(SECONDS)
            self.check_right(guest.run(["round_trips", "50"], SECONDS))
            self.end_well(program)
        self.broker.await_accounts(clients=0)
        self.assertTrue(wait_until(lambda: not any(map(is_alive, workers)), SECONDS), "a worker outlives its program")


if __name__ == "__main__":
    bench.main()
