# SPDX-License-Identifier: Apache-2.0
"""test_doctor.py BUILD: things that go wrong on a host, made to; what vgpu-admin doctor finds; and the cure that it names."""
import grp
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "scripts" / "lib"))
from harness.admin import AdministeredBroker  # noqa: E402
from harness.device_stage import DeviceStage  # noqa: E402
from harness.layout import Layout  # noqa: E402
from harness.private_broker import SteadyClient  # noqa: E402
from harness.processes import wait_until  # noqa: E402

LAYOUT = Layout(pathlib.Path(sys.argv.pop(1)).resolve())
SECONDS = 30
STRANGER = 54321
# A shell whose command line stays as it was given; it waits for us to end, too.
WAIT = ["/bin/sh", "-c", "read line", "qemu"]


class Doctor(unittest.TestCase):
    def setUp(self):
        self.broker = self.enterContext(AdministeredBroker(LAYOUT))
        self.host = self.broker.folder / "host"  # stands for the host's own /dev, /sys, /var/log: nothing is wrong there
        self.host.mkdir()

    def examine(self, *arguments) -> list[dict]:
        done = self.broker.admin("doctor", "--json", "--system-root", self.host, *arguments)
        self.assertEqual(done.stderr, "")
        found = json.loads(done.stdout)
        outcomes = [finding["outcome"] for finding in found["findings"]]
        self.assertEqual(done.returncode, 1 if "FAIL" in outcomes else 2 if "SKIP" in outcomes else 0)
        self.assertEqual(found["good"], done.returncode == 0)
        return found["findings"]

    def check_well(self, *arguments) -> list[dict]:
        findings = self.examine(*arguments)
        self.assertEqual({finding["outcome"] for finding in findings}, {"PASS"}, findings)
        return findings

    def check_finds(self, what: str, text: str, cause: str, remedy: str, *arguments) -> dict:
        found = self.examine(*arguments)[-1]
        self.assertEqual((found["what"], found["outcome"]), (what, "FAIL"), found)
        for part, name in ((text, "text"), (cause, "cause"), (remedy, "remedy")):
            self.assertIn(part, found[name])
        return found

    def relaunch(self) -> None:
        seen = self.broker.log_tail(1_000_000).count("listening on")
        os.kill(self.broker.pid, signal.SIGUSR2)
        self.assertTrue(wait_until(lambda: self.broker.log_tail(1_000_000).count("listening on") > seen, SECONDS), self.broker.log_tail())

    def run_beside(self, command: list, **how) -> subprocess.Popen:
        process = subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE, **how)
        self.addCleanup(process.stdin.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process


class Brokers(Doctor):
    def test_a_healthy_host_is_found_well(self):
        findings = self.check_well()
        self.assertEqual([f["what"] for f in findings], ["config", "broker", "socket", "socket", "socket", "vm", "denials", "driver", "workers", "logs"])
        self.assertIn(str(self.broker.log), findings[-1]["text"])
        text = self.broker.admin("doctor", "--system-root", self.host).stdout
        self.assertIn(f"PASS  broker    pid {self.broker.pid}", text)

    def test_configuration_with_an_error(self):
        config = self.broker.config
        good = config.read_text()
        config.write_text(good + "nonsense = 1\n")
        self.check_finds("config", "1 error", "nonsense", "--check-config")
        config.write_text(good)
        self.check_well()

    def test_broker_that_was_stopped(self):
        self.broker.stop()
        self.check_finds("broker", "not running", "no lock file", "start vgpu-broker")
        self.broker.start_again()
        self.broker.exit_status = None
        self.check_well()

    def test_broker_that_crashed(self):
        client = self.enterContext(SteadyClient(LAYOUT.program("demo_driver"), self.broker.environment(), SECONDS))
        pid = self.broker.pid
        self.broker.kill()
        self.check_finds("broker", "not running", f"pid {pid}", "takes them back")
        self.broker.start_again()
        self.assertEqual(client.ask(), "right")
        self.check_well()

    def test_broker_that_hangs(self):
        os.kill(self.broker.pid, signal.SIGSTOP)
        self.check_finds("broker", "gets no answer", "does not answer", f"kill -KILL {self.broker.pid}")
        self.broker.kill()
        self.broker.start_again()
        self.check_well()

    def test_admin_socket_elsewhere(self):
        self.broker.admin_socket.unlink()
        self.check_finds("broker", "gets no answer", "admin socket is not at", "--socket")
        self.relaunch()
        self.check_well()

    def test_second_broker_of_the_same_socket_is_refused_and_named(self):
        command = [*self.broker.command(), "--driver", "sim"][:-2]
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"another broker (pid {self.broker.pid}) serves {self.broker.socket}", done.stderr)
        self.check_well()

    def test_two_brokers_after_somebody_removed_the_files(self):
        for name in ("broker.sock", "broker.sock.lock", "vm-a.sock", "vm-a.sock.lock"):
            (self.broker.folder / name).unlink()
        other_config = self.broker.folder / "other.toml"
        other_config.write_text(f'[broker]\nadmin_socket = "{self.broker.folder}/other.admin"\n')
        log = (self.broker.folder / "other.log").open("w+")
        self.addCleanup(log.close)
        other = self.run_beside([LAYOUT.program("vgpu-broker"), "--config", other_config, "--socket", self.broker.socket, "--driver", "sim"], stderr=log)
        self.assertTrue(wait_until(lambda: self.broker.socket.exists(), SECONDS))
        self.check_finds("broker", f"pid {self.broker.pid} answers, but pid {other.pid} serves", "two brokers", f"kill {self.broker.pid} or kill {other.pid}")
        other.terminate()
        other.wait(SECONDS)
        self.relaunch()
        self.check_well()

    @unittest.skipUnless(os.geteuid() == 0, "only root can be several users")
    def test_whoever_may_not_ask_is_told_so(self):
        self.broker.folder.chmod(0o755)
        self.host.chmod(0o755)
        done = self.broker.admin("doctor", "--system-root", self.host, user=STRANGER, group=STRANGER, extra_groups=[])
        self.assertEqual(done.returncode, 2, done.stdout)
        self.assertIn("SKIP  broker", done.stdout)
        self.assertIn("admin_group", done.stdout)


class Sockets(Doctor):
    def test_socket_that_was_removed(self):
        self.broker.socket.unlink()
        self.check_finds("socket", "no such file", "removed", "USR2")
        self.relaunch()
        self.check_well()

    def test_plain_file_in_its_place(self):
        self.broker.socket.unlink()
        self.broker.socket.write_text("")
        self.check_finds("socket", "this is no socket", "in its place", f"move {self.broker.socket} away")
        self.broker.socket.unlink()
        self.relaunch()
        self.check_well()

    def test_stale_socket(self):
        self.broker.socket.unlink()
        with socket.socket(socket.AF_UNIX) as leftover:
            leftover.bind(str(self.broker.socket))
        self.check_finds("socket", "stale", "nobody listens", f"rm {self.broker.socket}, then")
        self.broker.socket.unlink()
        self.relaunch()
        self.check_well()

    def test_another_mediator_on_the_path(self):
        self.broker.socket.unlink()
        listen = f"import socket, sys; s = socket.socket(socket.AF_UNIX); s.bind({str(self.broker.socket)!r}); s.listen(); sys.stdin.read()"
        other = self.run_beside([sys.executable, "-c", listen])
        self.assertTrue(wait_until(lambda: self.broker.socket.exists(), SECONDS))
        self.assertTrue(wait_until(lambda: "listens there, not" in self.examine()[-1]["text"], SECONDS))
        self.check_finds("socket", f"pid {other.pid} listens there", "another mediator", f"kill {other.pid}")
        other.kill()
        other.wait(SECONDS)
        self.broker.socket.unlink()
        self.relaunch()
        self.check_well()

    def test_mode_and_group_that_somebody_changed(self):
        self.broker.socket.chmod(0o600)
        self.check_finds("socket", "mode 0600", "0660", f"chmod 0660 {self.broker.socket}")
        self.broker.socket.chmod(0o660)
        self.check_well()

    @unittest.skipUnless(os.geteuid() == 0, "only root can be several users")
    def test_user_who_does_not_reach_a_socket(self):
        self.check_finds("reach", f"uid {STRANGER} does not reach {self.broker.socket} (tried)", "does not let it pass", "socket_mode", "--as-uid", STRANGER)
        self.broker.folder.chmod(0o755)
        self.check_finds("reach", f"uid {STRANGER} does not reach {self.broker.socket} (tried)", "does not let it write", "socket_mode", "--as-uid", STRANGER)
        self.broker.configure('socket_mode = "0666"', self.broker.of_vm + 'socket_mode = "0666"\n')
        self.relaunch()
        if self.broker.socket.stat().st_mode & 0o777 != 0o666:
            self.check_finds("socket", "mode 0660", "configured as 0666", f"chmod 0666 {self.broker.socket}")
            self.broker.socket.chmod(0o666)
        self.check_well("--as-uid", STRANGER)


class Machines(Doctor):
    def pretend_qemu(self, device_socket, **how) -> subprocess.Popen:
        """A process that looks like a QEMU with the device, and never connects."""
        process = self.run_beside([*WAIT, "-device", f"vgpu-stub,vm_id=1,socket={device_socket}"], **how)
        self.assertTrue(wait_until(lambda: b"vgpu-stub" in pathlib.Path(f"/proc/{process.pid}/cmdline").read_bytes(), SECONDS))
        return process

    def test_machine_that_is_up_and_one_whose_qemu_is_gone(self):
        with DeviceStage(LAYOUT, self.broker):
            self.assertTrue(wait_until(lambda: self.broker.list("vms")[0]["link"] == "up", SECONDS))
            vm = next(f for f in self.check_well("a") if f["what"] == "vm")
            self.assertIn("link up", vm["text"])
            self.assertIn("revision 2, with a window", vm["text"])
        self.check_well()
        self.check_finds("vm", f"no process has a vgpu-stub that leads to {self.broker.vm_socket}", "not running", f"-device vgpu-stub,socket={self.broker.vm_socket}", "a")
        self.check_finds("vm", "there is no VM b", "[vm.b]", "add it", "b")

    def test_machine_in_quarantine(self):
        self.broker.ask("quarantine", "a")
        self.check_finds("vm", "in quarantine", "operator", "vgpu-admin release a", "a")
        self.broker.ask("release", "a")

    def test_device_that_never_connects(self):
        self.pretend_qemu(self.broker.vm_socket)
        self.check_finds("vm", "has the device, but no link", "revision 0x01", "lspci")

    @unittest.skipUnless(os.geteuid() == 0, "only root can be several users")
    def test_qemu_that_may_not_use_its_socket(self):
        self.broker.folder.chmod(0o755)
        qemu = self.pretend_qemu(self.broker.vm_socket, user=STRANGER, group=STRANGER, extra_groups=[])
        self.check_finds("vm", f"pid {qemu.pid}, uid {STRANGER}", "does not let it write", "socket_mode")

    @unittest.skipUnless(os.geteuid() == 0, "only root can change its root")
    def test_qemu_in_a_chroot_is_looked_into(self):
        root = self.broker.folder / "root-1"
        (root / "tmp").mkdir(parents=True)
        self.broker.configure("", f'[vm.a]\nsocket = "{root}/tmp/vgpu-mediator.sock"\n')
        self.relaunch()
        # Only its command line and its root are looked at: python is loaded before it changes its root.
        code = f"import os, sys; os.chroot({str(root)!r}); sys.stdin.read()"
        qemu = self.run_beside([sys.executable, "-c", code, "-device", "vgpu-stub"])
        self.assertTrue(wait_until(lambda: os.readlink(f"/proc/{qemu.pid}/root") != "/", SECONDS))
        self.check_finds("vm", f"chroot {root}", "revision 0x01", "log")
        (root / "tmp" / "vgpu-mediator.sock").unlink()
        self.check_finds("socket", "no such file", "removed", "USR2")
        self.relaunch()
        self.check_finds("vm", f"chroot {root}", "revision 0x01", "log")


@unittest.skipUnless(os.geteuid() == 0, "only root can be several users")
class Chroots(Doctor):
    """As on XCP-ng: a folder for each domain, whose QEMU runs in it as a user of its own."""

    USER = 65535 + 7

    def setUp(self):
        super().setUp()
        self.broker.folder.chmod(0o755)
        self.tree = self.broker.folder / "qemu"
        self.tmp = self.tree / "root-7" / "tmp"
        self.tmp.mkdir(parents=True)
        for folder in (self.tmp, self.tmp.parent):
            os.chown(folder, self.USER, self.USER)
        self.broker.configure(f'chroot_directory = "{self.tree}"', "[vm.seven]\ndomid = 7\n")
        self.relaunch()
        self.door = self.tmp / "vgpu-mediator.sock"
        self.assertTrue(wait_until(lambda: str(self.door) in {one["path"] for one in self.broker.list("sockets")}, SECONDS))

    def test_wrong_owner_in_a_chroot(self):
        self.check_well()
        os.chown(self.door, 0, 0)
        self.check_finds("socket", "owner 0", f"uid {self.USER}", f"chown {self.USER} {self.door}")
        os.chown(self.door, self.USER, -1)
        self.check_well("--as-uid", 0)

    def test_qemu_in_it_that_does_not_connect(self):
        enter = f"import os, sys; os.chroot({str(self.tree / 'root-7')!r}); os.setgid({self.USER}); os.setuid({self.USER}); sys.stdin.read()"
        qemu = self.run_beside([sys.executable, "-c", enter, "-device", "vgpu-stub"])
        self.assertTrue(wait_until(lambda: os.stat(f"/proc/{qemu.pid}").st_uid == self.USER, SECONDS))
        self.check_finds("vm", f"VM seven: its QEMU (pid {qemu.pid}, uid {self.USER}, chroot {self.tree}/root-7)", "revision 0x01", "lspci")
        self.tmp.chmod(0o700)
        os.chown(self.tmp, 0, 0)
        self.check_finds("vm", "no link", f"{self.tmp} does not let it pass", "QEMU's user may write to it")
        os.chown(self.tmp, self.USER, self.USER)
        self.check_finds("vm", "no link", "revision 0x01", "lspci")


class System(Doctor):
    def write(self, name: str, text: str = "") -> pathlib.Path:
        path = self.host / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def test_refusals_of_a_security_module(self):
        self.write("sys/module/apparmor/parameters/enabled", "Y\n")
        self.assertIn("SKIP", [f["outcome"] for f in self.examine()])
        line = f'kernel: audit({int(time.time())}.1:7): apparmor="DENIED" operation="connect" profile="libvirt-1" name="{self.broker.vm_socket}" comm="qemu"'
        log = self.write("var/log/kern.log", line + "\n")
        self.check_finds("denials", 'apparmor="DENIED"', "AppArmor forbids it", "operations.md")
        log.write_text("kernel: something else\n")
        self.check_well()

    def check_driver(self, driver: str, text: str, remedy: str) -> None:
        self.broker.driver = driver
        self.broker.kill()
        self.broker.start_again()
        self.check_finds("driver", text, "", remedy)

    def test_driver_that_is_not_there(self):
        self.check_driver("nvidia", "no NVIDIA device files", "modprobe nvidia")
        self.write("dev/nvidiactl").chmod(0o666)
        self.check_finds("driver", "library is not found", "not installed", "ldconfig")
        self.write("usr/lib64/libcuda.so.1")
        self.check_well()

    @unittest.skipIf(pathlib.Path("/dev/nvidiactl").exists(), "this host has a driver")
    def test_the_software_gpu_in_the_place_of_a_driver(self):
        self.broker.driver = ""  # as installed: the configuration says it
        self.broker.kill()
        self.broker.start_again()
        self.configure_driver("nvidia")
        program = [LAYOUT.program("demo_driver")]
        done = self.broker.run(program, SECONDS)
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("CUDA_ERROR_NO_DEVICE", done.stdout + done.stderr)
        self.check_finds("driver", "no NVIDIA device files", "not loaded", 'set driver = "sim"')
        self.configure_driver("sim")
        self.assertEqual(self.broker.run(program, SECONDS).returncode, 0)
        self.check_well()

    def configure_driver(self, driver: str) -> None:
        self.broker.configure("", f'{self.broker.of_vm}[gpu]\ndriver = "{driver}"\n')
        self.relaunch()

    def test_library_that_was_named_and_is_not_there(self):
        self.check_driver("/nonexistent/driver.so", "/nonexistent/driver.so does not exist", "correct it")

    def test_worker_that_was_killed(self):
        client = self.enterContext(SteadyClient(LAYOUT.program("demo_driver"), self.broker.environment(), SECONDS))
        [worker] = self.broker.workers()
        os.kill(worker, signal.SIGKILL)
        self.assertTrue(client.ask().startswith("CUDA_ERROR_"))
        self.assertTrue(wait_until(lambda: not self.broker.list("clients"), SECONDS))
        self.check_finds("workers", f"worker {worker} of client", "CUDA error", "kernel log")


if __name__ == "__main__":
    unittest.main(verbosity=2)
