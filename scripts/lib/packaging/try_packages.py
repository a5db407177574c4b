# SPDX-License-Identifier: Apache-2.0
"""try_packages.py ROOT [--counts FILE]: the packages in a Debian root without a service manager. Run by scripts/test-package."""
import argparse
import os
import pathlib
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from harness.computing import Computing  # noqa: E402
from harness.private_broker import SteadyClient  # noqa: E402
from harness.processes import is_alive, wait_until  # noqa: E402
from packaging.root import ENVIRONMENT, Root  # noqa: E402
from packaging.ssh_server import SshServer  # noqa: E402

arguments = argparse.ArgumentParser()
arguments.add_argument("root", type=pathlib.Path)
arguments.add_argument("--counts", type=pathlib.Path)
OPTIONS = arguments.parse_args()
ROOT = Root(OPTIONS.root.resolve())
SOURCES = HERE.parents[2]
VERSION = re.search(r"project\(vgpu VERSION ([\d.]+)", (SOURCES / "CMakeLists.txt").read_text()).group(1)
NEXT = "99.0.0"
SERVICE = "/etc/init.d/vgpu-broker"
LOG = "/var/log/vgpu-broker.log"
SECONDS = 60


class Installed(unittest.TestCase):
    """Each test begins and ends with a root that has nothing of ours."""

    def setUp(self):
        # Without it Debian starts no service where no init runs.
        ROOT.write("usr/sbin/policy-rc.d", "#!/bin/sh\nexit 0\n", 0o755)
        self.addCleanup(self.sweep)

    def sweep(self):
        if (ROOT / SERVICE).exists():
            ROOT.run(SERVICE, "shutdown", check=None)
        for package in ("vgpu-broker", "vgpu-guest"):
            if ROOT.knows(package):
                ROOT.run("dpkg", "--purge", package)

    def install_host(self) -> str:
        """With the software GPU, for there is no other here; and the administrator's own words in the configuration."""
        said = ROOT.run("dpkg", "-i", ROOT.package("vgpu-broker", VERSION))
        config = ROOT / "etc/vgpu/broker.toml"
        config.write_text(config.read_text().replace('driver = "nvidia"', 'driver = "sim"') + "# mine\n")
        ROOT.run(SERVICE, "restart")
        return said

    def client(self) -> SteadyClient:
        """A program in the root that computes through the installed broker, by the installed shim."""
        if not ROOT.knows("vgpu-guest"):
            ROOT.run("dpkg", "-i", ROOT.package("vgpu-guest", VERSION))
        program = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory())) / "client"
        program.write_text(f'#!/bin/sh\nexec chroot {ROOT.path} /usr/local/bin/demo_driver "$@"\n')
        program.chmod(0o755)
        return self.enterContext(SteadyClient(program, ENVIRONMENT | {"VGPU_SOCKET": "/run/vgpu/mediator.sock"}, SECONDS))

    def compute(self) -> Computing:
        computing = Computing(self.client())
        self.addCleanup(computing.stop)
        return computing

    def check_all_right(self, computing: Computing):
        seen = computing.answers
        self.assertTrue(wait_until(lambda: computing.answers > seen or computing.wrong, SECONDS))
        self.assertEqual(computing.wrong, [])

    def pid(self) -> int:
        return int((ROOT / "run/vgpu/broker.pid").read_text())

    def log(self) -> str:
        return (ROOT / LOG).read_text()


class HostPackage(Installed):
    def test_install_brings_a_service_that_runs(self):
        said = ROOT.run("dpkg", "-i", ROOT.package("vgpu-broker", VERSION))
        self.assertIn("started (pid", said)
        ROOT.run(SERVICE, "status")
        self.assertIn("listening on /run/vgpu/mediator.sock (mode 0660, driver nvidia", self.log())
        group = re.search(r"^vgpu:x:(\d+):", (ROOT / "etc/group").read_text(), re.M)
        self.assertTrue(group, "there is no group vgpu")
        self.assertEqual((ROOT / "run/vgpu/mediator.sock").stat().st_gid, int(group.group(1)))
        self.assertEqual(ROOT.run("dpkg", "-V", "vgpu-broker"), "")
        self.assertEqual(stat.S_IMODE((ROOT / LOG).stat().st_mode), 0o640)
        for page in ("vgpu-broker.8", "vgpu-admin.8"):
            self.assertTrue((ROOT / f"usr/share/man/man8/{page}.gz").exists())
        self.assertIn("complete ", (ROOT / "usr/share/bash-completion/completions/vgpu-admin").read_text())
        self.assertIn("mediator.sock", ROOT.run("vgpu-admin", "status"))
        self.assertTrue(list((ROOT / "etc/rc2.d").glob("S*vgpu-broker")))

    def test_it_needs_only_libc(self):
        for package in ("vgpu-broker", "vgpu-guest"):
            depends = ROOT.run("dpkg-deb", "-f", ROOT.package(package, VERSION), "Depends").strip()
            self.assertRegex(depends, r"^libc6 \(>= [\d.]+\)$")

    def test_actions_of_the_installed_script(self):
        self.install_host()
        for action, code in (("status", 0), ("reload", 0), ("restart", 0), ("try-restart", 0), ("force-reload", 0), ("stop", 0), ("status", 3), ("reload", 7), ("start", 0), ("status", 0)):
            ROOT.run(SERVICE, action, check=code)
        os.kill(self.pid(), signal.SIGKILL)
        self.assertTrue(wait_until(lambda: not is_alive(self.pid()), SECONDS))
        ROOT.run(SERVICE, "status", check=1)
        ROOT.run(SERVICE, "start")
        ROOT.run(SERVICE, "nonsense", check=2)

    def test_restart_and_upgrade_lose_no_call(self):
        self.install_host()
        computing = self.compute()
        before = self.pid()
        ROOT.run(SERVICE, "restart")
        self.check_all_right(computing)
        self.assertNotEqual(self.pid(), before)
        before = self.pid()
        ROOT.run("dpkg", "-i", ROOT.package("vgpu-broker", NEXT))
        self.assertNotEqual(self.pid(), before)
        self.assertEqual(os.readlink(f"/proc/{self.pid()}/exe"), str(ROOT / "usr/sbin/vgpu-broker"))
        self.check_all_right(computing)
        self.assertTrue((ROOT / "etc/vgpu/broker.toml").read_text().endswith("# mine\n"))
        self.assertEqual(self.log().count("took back client 1"), 2)

    def test_a_host_that_forbids_starts_is_obeyed(self):
        ROOT.write("usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755)
        ROOT.run("dpkg", "-i", ROOT.package("vgpu-broker", VERSION))
        ROOT.run(SERVICE, "status", check=3)

    def test_an_upgrade_starts_nothing_that_was_stopped(self):
        self.install_host()
        ROOT.run(SERVICE, "stop")
        ROOT.run("dpkg", "-i", ROOT.package("vgpu-broker", NEXT))
        ROOT.run(SERVICE, "status", check=3)

    def test_removal_leaves_configuration_and_running_programs(self):
        self.install_host()
        computing = self.compute()
        ROOT.run("dpkg", "--remove", "vgpu-broker")
        self.check_all_right(computing)
        self.assertEqual(ROOT.status_of("vgpu-broker"), "config-files")
        self.assertIn("# mine", (ROOT / "etc/vgpu/broker.toml").read_text())
        self.assertFalse((ROOT / "usr/sbin/vgpu-broker").exists())
        # And who installs it again has them back, settings and programs.
        ROOT.run("dpkg", "-i", ROOT.package("vgpu-broker", VERSION))
        self.assertIn("took back client 1", self.log())
        self.check_all_right(computing)

    def test_purge_removes_configuration_and_logs(self):
        self.install_host()
        (ROOT / (LOG + ".1")).touch()
        ROOT.run("dpkg", "--purge", "vgpu-broker")
        self.assertEqual(ROOT.status_of("vgpu-broker"), "")
        left = [str(p) for top in ("etc", "usr", "var") for p in (ROOT / top).rglob("*vgpu*") if "/usr/local" not in str(p)]
        self.assertEqual(left, [])

    def test_a_configuration_with_errors_is_said_and_fails_nothing(self):
        self.install_host()
        ROOT.write("etc/vgpu/broker.toml", "[broker]\nsocket = 5\n")
        said = ROOT.run("dpkg", "-i", ROOT.package("vgpu-broker", NEXT))
        self.assertIn("broker.toml:2: socket must be", said)
        self.assertEqual(ROOT.status_of("vgpu-broker"), "installed")

    def test_the_log_is_rotated_under_a_running_program(self):
        self.install_host()
        computing = self.compute()
        ROOT.run("logrotate", "-f", "/etc/logrotate.d/vgpu-broker")
        rotated = (ROOT / (LOG + ".1")).stat().st_size
        self.assertFalse((ROOT / LOG).exists())
        computing.stop()
        computing.client.finish()
        self.assertTrue(wait_until(lambda: (ROOT / LOG).exists() and " ended: " in self.log(), SECONDS))
        self.assertEqual(stat.S_IMODE((ROOT / LOG).stat().st_mode), 0o640)
        self.assertEqual((ROOT / (LOG + ".1")).stat().st_size, rotated)
        self.assertEqual(computing.wrong, [])


class GuestPackage(Installed):
    def test_programs_find_the_shim_and_only_while_it_is_installed(self):
        ROOT.run("dpkg", "-i", ROOT.package("vgpu-guest", VERSION))
        for library in ("libcuda.so.1", "libnvidia-ml.so.1"):
            self.assertIn(f"{library} (libc6,x86-64) => /usr/lib/vgpu/{library}", ROOT.run("ldconfig", "-p"))
        self.assertIn("no vGPU device", ROOT.run("vgpu-guest", "self-test", check=1))
        ROOT.run("dpkg", "--purge", "vgpu-guest")
        self.assertNotIn("vgpu", ROOT.run("ldconfig", "-p"))

    def test_shims_of_the_old_system_are_put_aside(self):
        self.addCleanup(lambda: shutil.rmtree(ROOT / "var/lib/vgpu", ignore_errors=True))  # nothing removes it but its owner
        ROOT.write("usr/lib/libvgpu-cuda.so", "old")
        ROOT.write("usr/local/lib/libvgpu-nvml.so.1", "old")
        ROOT.write("etc/ld.so.preload", "")
        ROOT.write("etc/systemd/system/ollama.service.d/vgpu.conf", "[Service]\nEnvironment=LD_PRELOAD=/usr/lib/libvgpu-cuda.so\n")
        ROOT.write("etc/systemd/system/ollama.service.d/mine.conf", "[Service]\nEnvironment=OTHER=1\n")
        said = ROOT.run("dpkg", "-i", ROOT.package("vgpu-guest", VERSION))
        aside = {p.name for p in (ROOT / "var/lib/vgpu/old-shims").iterdir()}
        self.assertEqual(aside, {"usr_lib_libvgpu-cuda.so", "usr_local_lib_libvgpu-nvml.so.1", "etc_systemd_system_ollama.service.d_vgpu.conf"})
        self.assertIn("the old system's /usr/lib/libvgpu-cuda.so is now in", said)
        self.assertTrue((ROOT / "etc/systemd/system/ollama.service.d/mine.conf").exists())


class Rpm(unittest.TestCase):
    def rpm(self, *words: str, check: int = 0) -> str:
        done = subprocess.run(["rpm", "--root", str(ROOT.path), *map(str, words)], capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, check, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def setUp(self):
        self.addCleanup(lambda: subprocess.run(["rpm", "--root", str(ROOT.path), "-e", "vgpu-broker", "vgpu-guest"], capture_output=True, timeout=120))

    def test_install_upgrade_and_erase_of_the_host_side(self):
        # Debian's libc is not in rpm's books.
        self.rpm("-i", "--nodeps", ROOT.rpm_package("vgpu-broker", VERSION))
        self.assertEqual(self.rpm("-V", "--nodeps", "vgpu-broker"), "")
        files = self.rpm("-ql", "vgpu-broker").split()
        for file in ("/usr/sbin/vgpu-broker", "/usr/libexec/vgpu/vgpu-worker", "/usr/lib/systemd/system/vgpu-broker.service", SERVICE, "/etc/vgpu/broker.toml", "/usr/share/man/man8/vgpu-broker.8.gz"):
            self.assertIn(file, files)
        self.assertEqual(self.rpm("-qc", "vgpu-broker").split(), [SERVICE, "/etc/logrotate.d/vgpu-broker", "/etc/vgpu/broker.toml"])
        self.assertIn("\nvgpu:x:", (ROOT / "etc/group").read_text())
        ROOT.run("vgpu-broker", "--check-config")
        config = ROOT / "etc/vgpu/broker.toml"
        config.write_text(config.read_text() + "# mine\n")
        self.rpm("-U", "--nodeps", ROOT.rpm_package("vgpu-broker", NEXT))
        self.assertEqual(self.rpm("-q", "vgpu-broker").strip(), f"vgpu-broker-{NEXT}-1.x86_64")
        self.assertTrue(config.read_text().endswith("# mine\n"))
        self.rpm("-e", "vgpu-broker")
        self.assertTrue((ROOT / "etc/vgpu/broker.toml.rpmsave").read_text().endswith("# mine\n"))
        self.assertFalse((ROOT / "usr/sbin/vgpu-broker").exists())

    def test_install_of_the_guest_side(self):
        self.rpm("-i", "--nodeps", ROOT.rpm_package("vgpu-guest", VERSION))
        self.assertEqual(self.rpm("-V", "--nodeps", "vgpu-guest"), "")
        for library in ("libcuda.so.1", "libnvidia-ml.so.1"):
            self.assertIn(f"/usr/lib/vgpu/{library}", ROOT.run("ldconfig", "-p"))

    def test_it_needs_only_libc(self):
        needs = {re.sub(r"\(.*", "", line) for package in ("vgpu-broker", "vgpu-guest") for line in self.rpm("-qRp", ROOT.rpm_package(package, VERSION)).split("\n") if line}
        self.assertLessEqual({need for need in needs if not need.startswith(("config", "rpmlib", "rtld"))}, {"/bin/sh", "libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2"})


class Deploy(Installed):
    def setUp(self):
        super().setUp()
        self.server = self.enterContext(SshServer(ROOT))

    def deploy(self, *words: str, packages: str = "now", check: int = 0) -> str:
        command = [str(SOURCES / "scripts/deploy"), "--packages", str(SOURCES / "build/package-test" / packages), "--ssh-config", str(self.server.config), *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, check, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def test_a_dry_run_changes_nothing(self):
        said = self.deploy("--dry-run", "host", "guest")
        self.assertIn("takes .deb, service manager sysv, vgpu-broker not installed", said)
        self.assertIn("nothing was changed", said)
        self.assertFalse(ROOT.knows("vgpu-broker"))

    def test_a_host_is_set_up_and_later_upgraded_under_a_program_that_computes(self):
        ROOT.write("etc/vgpu/broker.toml", '[gpu]\ndriver = "sim"\n')
        said = self.deploy("host")
        self.assertIn("demo: all results are right", said)
        self.assertRegex(said, rf"host: vgpu-broker vgpu-broker_{VERSION}_amd64.deb \(before: nothing\)\nhost: the service is up, and computes\n$")
        computing = self.compute()
        said = self.deploy("host", packages="next")
        self.assertIn(f"(before: {VERSION})", said)
        self.check_all_right(computing)
        self.assertEqual([p for p in (ROOT / "tmp").iterdir() if "vgpu" in p.name], [])

    def test_a_host_whose_broker_cannot_compute_is_told_so(self):
        said = self.deploy("host", check=1)  # the installed configuration wants an NVIDIA driver
        self.assertIn("deploy: host: the self-test failed", said)
        self.assertRegex(said, r"(?m)^ +FAIL +driver")
        self.assertIn('driver = "sim"', said)

    def test_a_guest_is_set_up_and_its_doctor_says_what_is_missing(self):
        ROOT.write("etc/vgpu/broker.toml", '[gpu]\ndriver = "sim"\n')
        said = self.deploy("host", "guest", check=1)
        self.assertEqual(ROOT.status_of("vgpu-guest"), "installed")
        self.assertIn("deploy: guest: vgpu-guest doctor found the above", said)

    def test_a_machine_that_ssh_does_not_reach(self):
        self.assertIn("deploy: nobody: ssh does not get in", self.deploy("nobody", check=1))


def main() -> int:
    program = unittest.main(argv=sys.argv[:1], verbosity=2, exit=False)
    failed, skipped = len(program.result.failures) + len(program.result.errors), len(program.result.skipped)
    if OPTIONS.counts:
        OPTIONS.counts.write_text(f"{program.result.testsRun - failed - skipped} {failed} {skipped}\n")
    return 0 if program.result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
