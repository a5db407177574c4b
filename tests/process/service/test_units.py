# SPDX-License-Identifier: Apache-2.0
"""test_units.py: systemd accepts the units, and they keep the promise that a stop leaves clients alone."""
import configparser
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
UNITS = [ROOT / "scripts" / name for name in ("vgpu-broker.service", "vgpu-broker.socket", "vgpu-guestd.service")]
SYSTEM_UNITS = pathlib.Path("/lib/systemd/system")


def read(unit: pathlib.Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read_string(unit.read_text())
    return parser


class Units(unittest.TestCase):
    @unittest.skipUnless(shutil.which("systemd-analyze") and SYSTEM_UNITS.is_dir(), "systemd-analyze is not here: scripts/setup --for package")
    def test_systemd_accepts_them(self):
        # A root of its own: the units name installed programs, and the machine's own units are needed beside them.
        with tempfile.TemporaryDirectory(prefix="vgpu-units-") as folder:
            root = pathlib.Path(folder)
            units = root / "lib/systemd/system"
            units.mkdir(parents=True)
            for target in SYSTEM_UNITS.glob("*"):
                if target.suffix in (".target", ".slice", ".socket", ".service", ".mount"):
                    shutil.copy2(target, units, follow_symlinks=False)
            for program in ("usr/sbin/vgpu-broker", "usr/sbin/vgpu-guestd", "bin/kill"):
                (root / program).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy("/bin/true", root / program)
            for unit in UNITS:
                shutil.copy(unit, units)
            for unit in UNITS:
                done = subprocess.run(["systemd-analyze", "verify", "--man=no", f"--root={root}", str(unit.name)], capture_output=True, text=True, timeout=60, cwd=units)
                said = [line for line in done.stderr.splitlines() if "vgpu" in line]
                self.assertEqual((done.returncode, said), (0, []), done.stderr)

    def test_a_stop_is_a_step_down_of_the_broker_alone(self):
        service = read(UNITS[0])["Service"]
        self.assertEqual((service["KillSignal"], service["KillMode"]), ("SIGQUIT", "process"))
        self.assertEqual(service["RuntimeDirectoryPreserve"], "yes")

    def test_what_workers_need_is_not_closed(self):
        """The driver makes device nodes, loads modules and compiles into memory; the field's sockets lie in /tmp."""
        service = read(UNITS[0])["Service"]
        for setting in ("PrivateDevices", "PrivateTmp", "ProtectKernelModules", "ProtectClock", "MemoryDenyWriteExecute", "DeviceAllow", "DevicePolicy", "CapabilityBoundingSet"):
            self.assertNotIn(setting, service)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
