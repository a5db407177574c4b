# SPDX-License-Identifier: Apache-2.0
"""test_identity.py BUILD: who comes through which door, and what becomes of those who are nobody."""
import contextlib
import pathlib
import sys
import unittest

from scene import LINK_MAGIC, NEEDS_ROOT, RIGHT, SECONDS, Broker, Caller, Layout, Programs, legacy_ping, wait_until

LAYOUT = Layout(pathlib.Path(sys.argv.pop(1)).resolve())

SETTINGS = """
[broker]
field_socket = "FOLDER/field.sock"
socket_mode = "0666"
[client]
hello_timeout_ms = 300
[vm.render]
uid = 61001
vm_id = 5
pool = "B"
priority = "high"
channels = 2
[vm.build]
uid = 61002
[vm.label]
identity = "claimed"
vm_id = 3
"""


class Doors(unittest.TestCase):
    settings = SETTINGS

    def setUp(self):
        self.programs = self.enterContext(Programs(LAYOUT))
        self.broker = self.enterContext(Broker(LAYOUT, self.settings))
        self.field = self.broker.folder / "field.sock"
        self.own = self.broker.folder / "vm-build.sock"

    def doors(self):
        return [self.broker.socket, self.field, self.own]


class Everybody(Doors):
    def test_every_door_is_told_and_serves_clients(self):
        for door in self.doors():
            self.assertTrue(self.broker.says(f"[MEDIATOR] Accepting connections on {door}"))
            self.assertEqual(self.programs.compute(door), RIGHT)
        self.assertEqual(self.field.stat().st_mode & 0o7777, 0o666)
        self.assertEqual(self.broker.socket.stat().st_mode & 0o7777, 0o666)

    def test_a_client_through_a_vms_door_is_of_that_vm(self):
        with self.programs.steady(self.own) as client:
            self.assertEqual(client.first_answer, "right")
            self.assertEqual([self.broker.vm_of(worker) for worker in self.broker.workers()], ["build"])
            # And stays so for the next broker.
            self.broker.kill()
            self.broker.start_again()
            self.assertTrue(self.broker.says("took back client") and self.broker.says(", build)"), self.broker.log_tail())
            self.assertEqual(client.ask(), "right")

    def test_a_stub_through_a_vms_door(self):
        with Caller(self.own) as stub:
            answer = stub.link()
            self.assertEqual((answer.status, answer.vm), (0, "build"))

    def test_a_vm_has_its_pool_and_priority_from_the_configuration(self):
        with Caller(self.broker.folder / "vm-render.sock") as stub:
            self.assertEqual(stub.link(vm_id=5, pool=b"A", priority=0).status, 0)
        self.assertTrue(self.broker.says("pool B, priority high (labels: vm_id=5, pool=A, priority=0)"), self.broker.log_tail())

    def test_a_label_that_contradicts_is_refused_by_name(self):
        with Caller(self.broker.folder / "vm-render.sock") as stub:
            answer = stub.link(vm_id=6)
            self.assertNotEqual(answer.status, 0)
            self.assertEqual(answer.text, "its label vm_id=6 contradicts [vm.render], which has vm_id = 5")
            self.assertTrue(stub.is_cut_off())

    def test_a_stub_of_revision_2_is_known_by_its_first_bytes(self):
        with Caller(self.own) as stub:
            stub.say(legacy_ping()[:7])
            self.assertTrue(stub.is_open())
            stub.say(legacy_ping()[7:])
            self.assertTrue(wait_until(lambda: self.broker.accounts()["greetings"] == 0, SECONDS))
            self.assertNotIn("neither a client nor a stub", self.broker.log_tail())


class Nobody(Doors):
    def await_nothing_left(self):
        self.broker.await_accounts(clients=0, greetings=0, places=0)

    def test_garbage_costs_one_line_and_is_closed(self):
        for number, door in enumerate(self.doors(), 1):
            with Caller(door) as caller:
                self.assertTrue(caller.say(b"test\n").is_cut_off())
            self.assertTrue(self.broker.says(f'what it says to {door} is no message of ours: neither a client nor a stub begins with "test\\x0a"'))
            self.assertEqual(self.broker.count("neither a client nor a stub"), number)
        self.await_nothing_left()

    def test_half_a_beginning_is_closed_when_the_time_is_up(self):
        magic = LINK_MAGIC.to_bytes(4, "little")
        for door in self.doors():
            for beginning in (b"V", magic, magic + b"\x10\0" + bytes(8), legacy_ping()[:20]):
                with Caller(door) as caller:
                    self.assertTrue(caller.say(beginning).is_cut_off(), (door, beginning))
        self.await_nothing_left()

    def test_who_leaves_with_half_a_beginning_leaves_nothing(self):
        before = self.broker.descriptors()
        for door in self.doors():
            for _ in range(50):
                Caller(door).say(b"VG").socket.close()
                Caller(door).socket.close()
        self.await_nothing_left()
        self.assertTrue(wait_until(lambda: self.broker.descriptors() <= before, SECONDS))

    def test_silent_ones_wait_where_a_stub_may_be_but_not_many(self):
        """A stub of revision 2 connects when its VM starts, and speaks when its guest does."""
        with contextlib.ExitStack() as stack:
            silent = [stack.enter_context(Caller(self.own)) for _ in range(10)]
            self.assertTrue(wait_until(lambda: sum(one.is_open() for one in silent) == 2, SECONDS))
            self.assertTrue(silent[-1].is_open())
            self.broker.await_accounts(places=0)
            # Nobody else is kept waiting, and the last one is a stub after all.
            self.assertEqual(self.programs.compute(self.own), RIGHT)
            self.assertEqual(silent[-1].link().vm, "build")
        self.await_nothing_left()

    def test_silent_ones_do_not_hold_a_relaunch_up(self):
        with Caller(self.own) as silent:
            self.broker.await_accounts(greetings=1, places=0)
            self.broker.relaunch()
            self.assertTrue(silent.is_cut_off())
        self.assertEqual(self.programs.compute(self.own), RIGHT)


class Silence(Doors):
    """Where nobody can be a stub."""
    settings = '[client]\nhello_timeout_ms = 300\n'

    def test_it_ends_in_time(self):
        with Caller(self.broker.socket) as caller:
            self.assertTrue(caller.is_cut_off())
        self.assertTrue(self.broker.says("no complete hello came in time"))


class AllPlacesTaken(Doors):
    settings = '[broker]\nmax_clients = 1\n[vm.build]\n'

    def test_a_stub_needs_none(self):
        with self.programs.steady(self.broker.socket) as client:
            self.assertIn("cannot start", self.programs.compute(self.own))
            self.assertTrue(self.broker.says("all 1 places are taken"))
            with Caller(self.own) as stub:
                self.assertEqual(stub.link().vm, "build")
            self.assertEqual(client.ask(), "right")


class UnknownAllowed(Doors):
    settings = SETTINGS.replace("[broker]", '[broker]\nunknown_vms = "allow"')

    @unittest.skipIf(NEEDS_ROOT, NEEDS_ROOT)
    def test_it_is_what_its_user_is_and_its_labels_count(self):
        with Caller(self.field, 61009) as stub, Caller(self.field, 61010) as other:
            answer = stub.link(vm_id=9, pool=b"B", priority=2)
            self.assertEqual((answer.status, answer.vm), (0, "uid-61009"))
            self.assertTrue(self.broker.says("VM uid-61009: link up"))
            self.assertTrue(self.broker.says("pool B, priority high (labels"))
            self.assertEqual(other.link(vm_id=9).text, "its label vm_id=9 is claimed already, by VM uid-61009")
        with Caller(self.field, 61010) as other:
            self.assertTrue(wait_until(lambda: self.broker.count("VM uid-61009: the link") == 1, SECONDS))
            self.assertEqual(other.link(vm_id=9).vm, "uid-61010")


@unittest.skipIf(NEEDS_ROOT, NEEDS_ROOT)
class Users(Doors):
    """On doors that all share."""

    def link_as(self, uid: int, vm_id: int):
        with Caller(self.field, uid) as stub:
            answer = stub.link(vm_id)
            return answer.vm if answer.status == 0 else answer.text

    def test_stubs(self):
        self.assertEqual(self.link_as(61001, 5), "render")
        self.assertEqual(self.link_as(61002, 0), "build")
        self.assertEqual(self.link_as(61009, 3), "label")
        self.assertIn("vm_id=6 contradicts [vm.render]", self.link_as(61001, 6))
        self.assertIn("vm_id=5 is that of [vm.render], but it is VM build", self.link_as(61002, 5))
        self.assertIn("vm_id=5 is that of [vm.render], which is not known by its label", self.link_as(61009, 5))
        self.assertIn('no [vm.NAME] of the broker\'s configuration is uid-61009 (uid or domid), and unknown_vms is "refuse"', self.link_as(61009, 0))
        self.assertTrue(self.broker.says("refused the stub of pid"))

    def test_a_label_is_claimed_once_at_a_time(self):
        with Caller(self.field, 61009) as first, Caller(self.field, 61010) as second:
            self.assertEqual(first.link(vm_id=3).vm, "label")
            self.assertIn("is the stub of VM label already", second.link(vm_id=3).text)
            self.assertTrue(first.is_open())

    @unittest.skipIf(NEEDS_ROOT, NEEDS_ROOT)
    def test_a_user_of_the_host_is_no_vm(self):
        self.assertEqual(self.programs.compute(self.broker.socket, 61009), RIGHT)
        self.assertIn("cannot start", self.programs.compute(self.field, 61009))
        self.assertTrue(self.broker.says(f"users without a [vm.NAME] are served on {self.broker.socket}"), self.broker.log_tail())

    def test_clients_of_a_vms_user_count_as_that_vm(self):
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(Caller(self.field, 61001)) for _ in range(2)]
            for one in clients:
                # A client that never ends its hello has its VM's place meanwhile.
                one.say(LINK_MAGIC.to_bytes(4, "little") + b"\1\0")
            self.broker.await_accounts(places=2)
            self.assertIn("cannot start", self.programs.compute(self.field, 61001))
            self.assertTrue(self.broker.says("render already has 2 clients (channels of its [vm.NAME]"), self.broker.log_tail())
            self.assertEqual(self.programs.compute(self.field, 61002), RIGHT)
        self.assertEqual(self.programs.compute(self.field, 61001), RIGHT)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
