# SPDX-License-Identifier: Apache-2.0
"""A guest's root means harm. Nothing of it reaches another guest, and the broker's log does not fill."""
import time

import bench

SECONDS = 240
ROUNDS = 10_000
# Whatever a guest does: vgpu-broker(8) promises this of one VM's lines, and the device's of its own are far fewer.
BROKER_LINES_AT_ONCE, BROKER_LINES_A_SECOND = 200, 4
QEMU_LINES_AT_ONCE, QEMU_LINES_A_MINUTE = 30, 60


class Neighbours(bench.VmTest):
    @classmethod
    def setUpClass(cls):
        cls.broker = cls.enterClassContext(bench.vm_broker("bad", "good"))
        cls.bad, cls.good = cls.guests = [bench.vgpu_guest(cls.broker.device(name), name, processors=1) for name in ("bad", "good")]
        cls.enterClassContext(bench.booted(*cls.guests))

    def setUp(self):
        self.before = self.line_counts()
        self.begun = time.monotonic()

    def line_counts(self) -> tuple[int, int]:
        """Of the broker about the bad guest, and of that guest's QEMU."""
        return self.broker.line_count("VM bad"), self.bad.messages.read_bytes().count(b"\n")

    def attack(self, *names: str):
        """They have begun when it returns."""
        attackers = [self.bad.start(["vgpu-vm-attacker", name, "42"], user=0) for name in names]
        for attacker in attackers:
            attacker.wait_for(" accesses", SECONDS)
        return attackers

    def end_attack(self, attackers) -> None:
        for attacker in attackers:
            self.assertTrue(attacker.is_running, f"{attacker}: {attacker.stderr}")
            attacker.kill()
            attacker.wait(SECONDS)
        seconds = time.monotonic() - self.begun
        brokers, qemus = (after - before for after, before in zip(self.line_counts(), self.before))
        print(f"in {seconds:.0f} s the broker wrote {brokers} lines about the bad guest, its QEMU {qemus}")
        self.assertLessEqual(brokers, BROKER_LINES_AT_ONCE + BROKER_LINES_A_SECOND * seconds)
        self.assertLessEqual(qemus, QEMU_LINES_AT_ONCE + QEMU_LINES_A_MINUTE * seconds / 60)

    def bad_guest_works_again_after_a_reset(self) -> None:
        self.bad.reset()
        self.check_right(self.bad.run(["round_trips", "50"], SECONDS))
        self.broker.await_accounts(clients=0, workers=0)

    def test_noise_over_the_whole_window(self):
        victim = self.bad.start(["round_trips", "0"])  # so that there is a worker that reads the noise
        victim.wait_for("at 100", SECONDS)
        attackers = self.attack("noise")
        self.check_right(self.good.run(["round_trips", str(ROUNDS)], SECONDS))
        self.end_attack(attackers)
        self.bad_guest_works_again_after_a_reset()

    def test_storms_and_registers_at_random(self):
        attackers = self.attack("storm", "mmio")
        result = self.good.run(["round_trips", str(ROUNDS)], SECONDS)
        self.check_right(result)
        self.assertIn(f"{ROUNDS} rounds", result.stdout)
        self.end_attack(attackers)
        self.bad_guest_works_again_after_a_reset()


if __name__ == "__main__":
    bench.main()
