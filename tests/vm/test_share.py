# SPDX-License-Identifier: Apache-2.0
"""A guest that shares this machine's root, read-only: this machine's own programs run in it, with the guest's GPU."""
import bench
from vm.shared_root import ROOT, SharedRoot

SECONDS = 120
ASK = """
import ctypes
cuda = ctypes.CDLL("libcuda.so.1")
name = ctypes.create_string_buffer(64)
print(cuda.cuInit(0), cuda.cuDeviceGetName(name, 64, 0), name.value.decode())
"""


class SharedPrograms(bench.VmTest):
    @classmethod
    def setUpClass(cls):
        cls.broker = cls.enterClassContext(bench.vm_broker("one"))
        cls.guest = cls.enterClassContext(bench.sharing_guest(cls.broker.device("one"), "one", share="/", memory_mb=768))
        cls.guests = (cls.guest,)
        cls.root = SharedRoot(cls.guest)

    def test_an_interpreter_of_this_machine_finds_the_gpu(self):
        result = self.root.run(["/usr/bin/python3", "-c", ASK], SECONDS)
        self.assertEqual((result.status, result.stdout, result.stderr), (0, "0 0 vGPU Software GPU\n", ""))

    def test_nothing_of_this_machine_can_be_changed(self):
        result = self.guest.run(["touch", f"{ROOT}/var/of_a_guest"], SECONDS, user=0)
        self.assertNotEqual(result.status, 0)
        self.assertIn("Read-only file system", result.stderr)
        # Nor by a guest that mounts it anew as it likes.
        again = "mkdir -p /tmp/again && mount -t 9p -o trans=virtio,version=9p2000.L,rw share /tmp/again && touch /tmp/again/var/of_a_guest"
        self.assertNotEqual(self.guest.run(["sh", "-c", again], SECONDS, user=0).status, 0)


if __name__ == "__main__":
    bench.main()
