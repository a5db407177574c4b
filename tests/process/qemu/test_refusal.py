# SPDX-License-Identifier: Apache-2.0
"""test_refusal.py: the preloaded device goes into the QEMU that it was made for, and into no other program."""
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

from installed import PRELOAD, require_build, require_distribution, require_front

OURS = require_build()
DISTRIBUTED = require_distribution()
_, ENVIRONMENT = require_front("preloaded")
ASK = ["-device", "vgpu-stub,help"]


class Refusal(unittest.TestCase):
    def run_preloaded(self, *command) -> subprocess.CompletedProcess:
        return subprocess.run([str(word) for word in command], env=ENVIRONMENT, capture_output=True, text=True, timeout=30)

    def test_the_distributions_qemu_has_it(self):
        ended = self.run_preloaded(DISTRIBUTED, *ASK)
        self.assertIn("window-size=<size>", ended.stdout)
        self.assertEqual((ended.returncode, ended.stderr), (0, ""))

    def test_another_version_is_refused(self):
        with tempfile.TemporaryDirectory(prefix="vgpu-qemu-") as folder:
            other = pathlib.Path(folder) / "qemu-system-x86_64"
            program = DISTRIBUTED.read_bytes()
            self.assertIn(b"Debian 1:7.2+dfsg-", program)
            other.write_bytes(program.replace(b"Debian 1:7.2+dfsg-", b"Debian 1:7.2+dfsh-"))
            shutil.copymode(DISTRIBUTED, other)
            ended = self.run_preloaded(other, *ASK)
        self.assertRegex(ended.stderr, r'\[vgpu-stub\] not loaded: made for QEMU "Debian 1:7\.2\+dfsg-.*and this is 7\.2\.\d+ "Debian 1:7\.2\+dfsh-.*run scripts/build-qemu')
        self.assertIn("Device 'vgpu-stub' not found", ended.stderr)

    def test_a_qemu_that_exports_nothing_is_refused(self):
        """Ours has the device built in: it must not get it twice, and exports nothing that the library could ask."""
        ended = self.run_preloaded(OURS, *ASK)
        self.assertIn("[vgpu-stub] not loaded: this QEMU exports none of its functions", ended.stderr)
        self.assertIn("window-size=<size>", ended.stdout)

    def test_other_programs_are_not_disturbed(self):
        ended = self.run_preloaded("/bin/sh", "-c", "echo hello")
        self.assertEqual((ended.stdout, ended.stderr), ("hello\n", ""))


if __name__ == "__main__":
    unittest.main(argv=sys.argv)
