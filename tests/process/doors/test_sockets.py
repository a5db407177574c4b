# SPDX-License-Identifier: Apache-2.0
"""test_sockets.py BUILD: paths that are taken: by another broker, by a stranger, by the service manager."""
import fcntl
import os
import pathlib
import signal
import socket
import subprocess
import sys
import unittest

from scene import NEEDS_ROOT, RIGHT, SECONDS, Broker, Caller, Layout, Programs, as_user, wait_until

LAYOUT = Layout(pathlib.Path(sys.argv.pop(1)).resolve())
FIELD = '[broker]\nfield_socket = "FOLDER/shared/field.sock"\nunknown_vms = "allow"\nchroot_directory = "FOLDER/qemu"\n'


class Scene(unittest.TestCase):
    def setUp(self):
        self.programs = self.enterContext(Programs(LAYOUT))

    def prepare(self, settings: str = FIELD) -> Broker:
        """Not yet started. Its field socket lies in a folder like /tmp."""
        broker = Broker(LAYOUT, settings)
        self.shared = broker.folder / "shared"
        self.shared.mkdir()
        self.shared.chmod(0o1777)
        self.field = self.shared / "field.sock"
        return broker

    def run_second(self, broker: Broker, *arguments) -> str:
        """Another broker that must not start: what it says."""
        command = [str(LAYOUT.program("vgpu-broker")), "--driver", "sim", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn(f"another broker (pid {broker.pid}) serves ", done.stderr)
        return done.stderr


class SecondBroker(Scene):
    def test_of_the_same_socket(self):
        with self.prepare() as broker:
            self.assertIn(str(broker.socket), self.run_second(broker, "--config", "/dev/null", "--socket", broker.socket))
            self.assertEqual(self.programs.compute(broker.socket), RIGHT)

    def test_of_the_same_field_socket(self):
        with self.prepare() as broker:
            settings = broker.folder / "second.toml"
            settings.write_text(f'[broker]\nfield_socket = "{self.field}"\n')
            self.assertIn(str(self.field), self.run_second(broker, "--config", settings, "--socket", broker.folder / "other.sock"))
            self.assertEqual(self.programs.compute(self.field), RIGHT)

    def test_of_the_same_chroots(self):
        with self.prepare() as broker:
            tmp = broker.folder / "qemu" / "root-1" / "tmp"
            tmp.mkdir(parents=True)
            door = tmp / "vgpu-mediator.sock"
            self.assertTrue(wait_until(door.is_socket, SECONDS))
            settings = broker.folder / "second.toml"
            settings.write_text(f'[broker]\nchroot_directory = "{tmp.parent.parent}"\n')
            self.assertIn(str(door), self.run_second(broker, "--config", settings, "--socket", broker.folder / "other.sock"))
            self.assertTrue(door.is_socket())


class Taken(Scene):
    def test_leftovers_are_replaced(self):
        broker = self.prepare()
        with socket.socket(socket.AF_UNIX) as leftover:
            leftover.bind(str(self.field))
        with broker:
            self.assertEqual(self.programs.compute(self.field), RIGHT)
            broker.kill()
            broker.start_again()
            self.assertEqual(self.programs.compute(self.field), RIGHT)
        self.assertFalse(self.field.exists())

    def test_what_is_no_socket_is_left_alone_and_the_broker_serves_elsewhere(self):
        broker = self.prepare()
        self.field.write_text("precious")
        with broker:
            self.assertTrue(broker.says(f"not served: {self.field} exists and is no socket (it belongs to uid {os.geteuid()}); move it away"))
            self.assertEqual(self.programs.compute(broker.socket), RIGHT)
            self.assertEqual(self.field.read_text(), "precious")
            # Looked at every ten seconds.
            self.field.unlink()
            self.assertTrue(wait_until(self.field.is_socket, SECONDS))
            self.assertEqual(self.programs.compute(self.field), RIGHT)

    @unittest.skipIf(NEEDS_ROOT, NEEDS_ROOT)
    def test_a_stranger_who_listens_is_replaced(self):
        broker = self.prepare()
        with socket.socket(socket.AF_UNIX) as squatter, as_user(61001):
            squatter.bind(str(self.field))
            squatter.listen()
            with as_root(), broker:
                self.assertTrue(broker.says(f"{self.field}: pid {os.getpid()} (uid 61001) listened there and is replaced"))
                self.assertEqual(self.programs.compute(self.field, 61002), RIGHT)

    @unittest.skipIf(NEEDS_ROOT, NEEDS_ROOT)
    def test_no_lock_that_a_stranger_could_hold(self):
        broker = self.prepare()
        with as_user(61001), open(f"{self.field}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with as_root(), broker:
                self.assertEqual(self.programs.compute(self.field, 61002), RIGHT)


class as_root:
    """Within as_user()."""

    def __enter__(self):
        self.user = os.geteuid()
        os.seteuid(0)

    def __exit__(self, *_):
        os.seteuid(self.user)


class Activated(Broker):
    """Its main socket is the service manager's: we are that."""

    def __init__(self, settings: str = "", path: str = "broker.sock", count: int = 1):
        super().__init__(LAYOUT, settings)
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(str(self.folder / path))
        self.listening.listen()
        self.pass_fds = (self.listening.fileno(),)
        self.count_of_sockets = count

    def _remove(self) -> None:
        self.listening.close()
        super()._remove()

    def command(self) -> list[str]:
        # LISTEN_PID is that of the program, which only it knows; the sockets are numbered from 3.
        copies = " ".join(f"{3 + number}<&{self.listening.fileno()}" for number in range(self.count_of_sockets))
        return ["/bin/bash", "-c", f'exec {copies}; LISTEN_FDS={self.count_of_sockets} LISTEN_PID=$$ exec "$@"', "manager", *super().command()]


class SocketActivation(Scene):
    def test_it_serves_and_leaves_the_socket_to_the_manager(self):
        with Activated() as broker:
            self.assertEqual(self.programs.compute(broker.socket), RIGHT)
            mode = broker.socket.stat().st_mode
            inode = broker.socket.stat().st_ino
            broker.relaunch()
            self.assertEqual(self.programs.compute(broker.socket), RIGHT)
            broker.stop()
            self.assertEqual((broker.socket.stat().st_mode, broker.socket.stat().st_ino), (mode, inode))
            self.assertFalse((broker.folder / "broker.sock.lock").exists())
            Caller(broker.socket).socket.close()  # it still listens

    def test_who_comes_while_no_broker_serves_waits_for_the_next(self):
        with Activated() as broker, self.programs.steady(broker.socket) as client:
            broker.kill()
            with Caller(broker.folder / "broker.sock") as early:
                early.say(b"test\n")
                broker.start_again()
                self.assertTrue(early.is_cut_off())
            self.assertTrue(broker.says("took back client"))
            self.assertEqual(client.ask(), "right")
            self.assertEqual(self.programs.compute(broker.socket), RIGHT)

    def test_a_second_broker_is_refused(self):
        with Activated() as broker:
            self.run_second(broker, "--config", "/dev/null", "--socket", broker.socket)

    def refusal(self, broker: Broker) -> str:
        with self.assertRaises(Exception) as raised, broker:
            pass
        return str(raised.exception)

    def test_a_socket_elsewhere_is_an_error_that_names_both(self):
        said = self.refusal(Activated(path="elsewhere.sock"))
        self.assertRegex(said, "hands over a socket at /.*/elsewhere.sock, but the configuration says /.*/broker.sock: make them the same")

    def test_two_sockets_are_one_too_many(self):
        self.assertIn("hands over 2 sockets; the broker takes one", self.refusal(Activated(count=2)))

    def test_numbers_for_another_process_are_not_taken(self):
        environment = os.environ | {"LISTEN_FDS": "1", "LISTEN_PID": "1"}
        path = self.programs.folder / "s"
        command = [str(LAYOUT.program("vgpu-broker")), "--config", "/dev/null", "--driver", "sim", "--socket", str(path)]
        with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) as broker:
            self.assertTrue(wait_until(path.is_socket, SECONDS))
            self.assertEqual(self.programs.compute(path), RIGHT)
            broker.send_signal(signal.SIGTERM)
            self.assertEqual(broker.wait(SECONDS), 0)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
