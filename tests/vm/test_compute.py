# SPDX-License-Identifier: Apache-2.0
"""Programs that know nothing of us compute in guests: the results are those of the same GPU without a guest."""
import bench
from harness.processes import wait_until

SECONDS = 90
RIGHT = "demo: all results are right"


class OneGuest(bench.VmTest):
    @classmethod
    def setUpClass(cls):
        cls.broker = cls.enterClassContext(bench.vm_broker("one"))
        cls.guest = cls.enterClassContext(bench.vgpu_guest(cls.broker.device("one"), "one"))
        cls.guests = (cls.guest,)

    def test_the_guest_knows_its_device(self):
        for words in (["vgpu-guest", "self-test"], ["vgpu-guest", "doctor"]):
            result = self.guest.run(words, SECONDS, user=0)
            self.assertEqual(result.status, 0, f"{words}: {result.stdout}{result.stderr}")
        self.assertIn("PASS", self.guest.run(["vgpu-guest", "self-test"], SECONDS, user=0).stdout)

    def test_a_program_gives_the_same_output_as_without_us(self):
        inside = self.guest.run(["demo_driver"], SECONDS)
        self.assertEqual((inside.status, inside.stderr), (0, ""), inside.stdout)
        self.assertIn(RIGHT, inside.stdout)
        on_software_gpu = self.guest.run(["demo_driver"], SECONDS, settings=bench.ON_SOFTWARE_GPU)
        self.assertEqual(inside.stdout, on_software_gpu.stdout)

    def test_a_program_with_the_cuda_runtime_library(self):
        if not bench.LAYOUT.has("demo"):
            self.skipTest("nvcc was not there to build it")
        inside = self.guest.run(["demo"], SECONDS)
        self.assertEqual((inside.status, inside.stderr), (0, ""), inside.stdout)
        outside = self.broker.run([bench.LAYOUT.program("demo")], SECONDS)
        self.assertEqual(inside.stdout, outside.stdout)

    def test_a_fault_is_the_programs_own(self):
        steady = self.guest.start(["round_trips", "0"])
        steady.wait_for("at 100", SECONDS)
        faulty = self.guest.run(["demo_driver", "--fault"], SECONDS)
        self.assertEqual(faulty.status, 0, faulty.stdout + faulty.stderr)
        steady.close_input()
        self.check_right(steady.wait(SECONDS))

    def test_one_of_two_programs_is_killed(self):
        staying, leaving = (self.guest.start(["round_trips", "0"]) for _ in range(2))
        for program in (staying, leaving):
            program.wait_for("at 100", SECONDS)
        self.assertEqual(len(self.broker.workers()), 2)
        leaving.kill()
        self.assertTrue(wait_until(lambda: len(self.broker.workers()) == 1, SECONDS), "the killed program's worker stays")
        staying.close_input()
        self.check_right(staying.wait(SECONDS))
        self.broker.await_accounts(clients=0, workers=0)


class TwoGuests(bench.VmTest):
    def test_both_compute_at_once_one_of_them_with_an_old_processor(self):
        with bench.vm_broker("one", "two") as self.broker:
            one, two = self.guests = [bench.vgpu_guest(self.broker.device(name), name, processors=1, cpu=cpu) for name, cpu in (("one", "max"), ("two", "qemu64"))]
            with bench.booted(*self.guests):
                programs = [guest.start(["round_trips", "500"]) for guest in (one, two)]
                self.assertTrue(wait_until(lambda: len(self.broker.workers()) == 2, SECONDS), "not every guest has a worker")
                for program in programs:
                    result = program.wait(SECONDS)
                    self.assertEqual(result.status, 0, result.stdout[-500:] + result.stderr)
                    self.assertIn("500 rounds, 0 wrong", result.stdout)
            self.broker.await_accounts(clients=0, workers=0)


if __name__ == "__main__":
    bench.main()
