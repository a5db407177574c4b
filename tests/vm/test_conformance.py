# SPDX-License-Identifier: Apache-2.0
"""The conformance suite inside a guest: the same cases and the same expected differences as without one."""
import bench

SECONDS = 420
EXPECTED = bench.ROOT / "tests" / "conformance" / "expected" / "shim-sim.txt"


class Suite(bench.VmTest):
    def test_it_passes_in_a_guest(self):
        with bench.vm_broker("one") as self.broker:
            guest = bench.vgpu_guest(self.broker.device("one", window_mb=1024), "one", memory_mb=1024)
            self.guests = (guest,)
            with guest:
                guest.put("/tmp/expected", EXPECTED.read_bytes())
                words = ["vgpu-conformance", "--libcuda", "/usr/lib/x86_64-linux-gnu/libcuda.so.1", "--group", "--jobs", "2", "--expect", "/tmp/expected"]
                result = guest.run(words, SECONDS)
                print(result.stdout.splitlines()[-1] if result.stdout else "", f"{result.seconds:.0f} s")
                self.assertEqual(result.status, 0, result.stdout[-6000:] + result.stderr[-2000:])
                self.broker.await_accounts(clients=0, workers=0)


if __name__ == "__main__":
    bench.main()
