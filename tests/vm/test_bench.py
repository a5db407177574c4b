# SPDX-License-Identifier: Apache-2.0
"""The bench itself: a guest boots, runs what it is told, and is gone afterwards. Needs no broker and no device of ours."""
import signal
import time

import bench
from harness.processes import is_alive, wait_until
from vm.delegate import GuestFailed

SECONDS = 30


class Commands(bench.VmTest):
    @classmethod
    def setUpClass(cls):
        cls.guest = cls.enterClassContext(bench.plain_guest())
        cls.guests = (cls.guest,)

    def test_the_image_is_small(self):
        self.assertLess(sum(self.guest.image.sizes().values()), 25_000_000)

    def test_status_and_both_outputs(self):
        result = self.guest.run(["sh", "-c", "echo out; echo err >&2; exit 3"])
        self.assertEqual((result.status, result.stdout, result.stderr), (3, "out\n", "err\n"))

    def test_programs_are_an_ordinary_users_unless_told(self):
        self.assertEqual(self.guest.run(["id", "-u"]).stdout, "1000\n")
        self.assertEqual(self.guest.run(["id", "-u"], user=0).stdout, "0\n")

    def test_input_and_output_of_any_size(self):
        content = bytes(range(256)) * 8192
        result = self.guest.run(["sha256sum"], content=content)
        self.guest.put("/tmp/copy", content)
        self.assertEqual(result.stdout.split()[0], self.guest.run(["sha256sum", "/tmp/copy"]).stdout.split()[0])
        self.assertEqual(len(self.guest.run(["head", "-c", "1000000", "/dev/zero"]).stdout), 1000000)

    def test_what_is_not_there_is_said(self):
        with self.assertRaisesRegex(GuestFailed, "no_such_program: No such file or directory"):
            self.guest.run(["no_such_program"])

    def test_one_is_killed_while_another_goes_on(self):
        counting = self.guest.start(["sh", "-c", "while read line; do echo $line; done"])
        sleeping = self.guest.start(["sleep", "1000"])
        counting.write(b"one\n")
        self.assertEqual(counting.read_line(SECONDS), "one")
        sleeping.kill()
        self.assertEqual(sleeping.wait(SECONDS).status, -signal.SIGKILL)
        counting.write(b"two\n")
        self.assertEqual(counting.read_line(SECONDS), "two")
        counting.close_input()
        self.assertEqual(counting.wait(SECONDS).status, 0)

    def test_a_call_that_takes_too_long_ends_and_tells_where_the_guest_is(self):
        self.guest.check(["sh", "-c", "echo a line for the console >/dev/console"], user=0)
        begun = time.monotonic()
        with self.assertRaisesRegex(GuestFailed, r"(?s)'sleep 1000' in guest .* did not end within 0.5 s.*a line for the console"):
            self.guest.run(["sleep", "1000"], timeout=0.5)
        self.assertLess(time.monotonic() - begun, 15)
        self.assertTrue(wait_until(lambda: self.guest.run(["pidof", "sleep"]).status == 1, SECONDS), "what took too long still runs")

    def test_a_cuda_program_on_the_software_gpu_inside(self):
        result = self.guest.run(["demo_driver"], settings=bench.ON_SOFTWARE_GPU)
        self.assertEqual((result.status, result.stderr), (0, ""))
        self.assertIn("demo: all results are right", result.stdout)

    def test_reset_is_a_new_life(self):
        before = self.guest.boot_id
        lost = self.guest.start(["sleep", "1000"])
        self.guest.reset()
        self.assertNotEqual(self.guest.boot_id, before)
        with self.assertRaisesRegex(GuestFailed, "connection was closed"):
            lost.wait(SECONDS)
        self.assertEqual(self.guest.run(["pidof", "sleep"]).status, 1)


class Ends(bench.VmTest):
    def test_nothing_stays(self):
        with bench.plain_guest() as guest:
            pid, folder = guest.qemu_pid, guest.folder
            self.assertTrue(is_alive(pid))
        self.assertFalse(is_alive(pid))
        self.assertFalse(folder.exists())

    def test_a_call_to_a_dead_machine_says_so_at_once(self):
        with bench.plain_guest() as guest:
            waiting = guest.start(["sleep", "1000"])
            guest.kill()
            begun = time.monotonic()
            with self.assertRaisesRegex(GuestFailed, "QEMU has ended with status -9"):
                waiting.wait(SECONDS)
            with self.assertRaises(GuestFailed):
                guest.run(["true"])
            self.assertLess(time.monotonic() - begun, 15)

    def test_a_panic_says_so_at_once(self):
        with bench.plain_guest() as guest:
            with self.assertRaisesRegex(GuestFailed, "(?s)its kernel panicked.*Kernel panic - not syncing"):
                guest.run(["sh", "-c", "echo c >/proc/sysrq-trigger"], user=0, timeout=SECONDS)
            guest.reset()
            self.assertEqual(guest.run(["true"]).status, 0)


if __name__ == "__main__":
    bench.main()
