# SPDX-License-Identifier: Apache-2.0
"""test_chroots.py BUILD: doors in the chroots of QEMU processes, as XCP-ng makes them: a fake tree, with users as of Xen domains."""
import os
import pathlib
import shutil
import socket
import sys
import time
import unittest

from scene import NEEDS_ROOT, RIGHT, SECONDS, Broker, Caller, Layout, Programs, as_user, cpu_seconds_of, wait_until

LAYOUT = Layout(pathlib.Path(sys.argv.pop(1)).resolve())
NAME = "vgpu-mediator.sock"
FIRST_USER = 65535

SETTINGS = """
[broker]
chroot_directory = "FOLDER/xen/qemu"
unknown_vms = "allow"
[client]
hello_timeout_ms = 300
[vm.seven]
domid = 7
vm_id = 70
[vm.nine]
identity = "claimed"
vm_id = 90
"""


class Tree(unittest.TestCase):
    """As whom the roots belong: Xen's users where we are root, ourselves elsewhere."""

    settings = SETTINGS

    def setUp(self):
        self.programs = self.enterContext(Programs(LAYOUT))
        self.broker = self.enterContext(Broker(LAYOUT, self.settings))
        self.top = self.broker.folder / "xen" / "qemu"

    def user(self, domid: int) -> int | None:
        return None if NEEDS_ROOT else FIRST_USER + domid

    def root(self, domid: int) -> pathlib.Path:
        return self.top / f"root-{domid}"

    def door(self, domid: int) -> pathlib.Path:
        return self.root(domid) / "tmp" / NAME

    def make_root(self, domid: int) -> None:
        tmp = self.root(domid) / "tmp"
        tmp.mkdir(parents=True)
        if not NEEDS_ROOT:
            os.chown(tmp, self.user(domid), self.user(domid))
            os.chown(self.root(domid), self.user(domid), self.user(domid))

    def is_right(self, domid: int) -> bool:
        """There, of the right user, for nobody else."""
        try:
            status = os.lstat(self.door(domid))
        except FileNotFoundError:
            return False
        owner = os.geteuid() if NEEDS_ROOT else self.user(domid)
        return (status.st_mode, status.st_uid) == (0o140600, owner)

    def await_door(self, domid: int) -> None:
        self.assertTrue(wait_until(lambda: self.is_right(domid) and self.accepts(domid), SECONDS), f"no door in {self.root(domid)}:\n{self.broker.log_tail()}")

    def accepts(self, domid: int, uid: int | None = None) -> bool:
        with socket.socket(socket.AF_UNIX) as caller, as_user(uid or self.user(domid)):
            return caller.connect_ex(str(self.door(domid))) == 0

    def check_works(self, domid: int) -> None:
        self.assertEqual(self.programs.compute(self.door(domid), self.user(domid)), RIGHT)


class UnknownVms(Tree):
    settings = SETTINGS.replace('unknown_vms = "allow"', "")

    @unittest.skipIf(NEEDS_ROOT, NEEDS_ROOT)
    def test_are_refused_whatever_they_come_as(self):
        for domid in (7, 8):
            self.make_root(domid)
            self.await_door(domid)
        with Caller(self.door(8), self.user(8)) as stub:
            self.assertIn("no [vm.NAME]", stub.link().text)
        self.assertIn("users without a [vm.NAME] are served on", self.programs.compute(self.door(8), self.user(8)))
        self.check_works(7)


class Roots(Tree):
    def test_appear_belong_work_and_disappear(self):
        before = self.broker.descriptors()
        for domid in (7, 8):
            self.make_root(domid)
        for domid in (7, 8):
            self.await_door(domid)
            self.assertTrue(self.broker.says(f"[MEDIATOR] Accepting connections on {self.door(domid)}"))
            self.check_works(domid)
        with Caller(self.door(7), self.user(7)) as stub:
            self.assertEqual(stub.link(vm_id=70).vm, "seven")
        with Caller(self.door(7), self.user(7)) as stub:
            self.assertIn("vm_id=71 contradicts [vm.seven]", stub.link(vm_id=71).text)
        with Caller(self.door(8), self.user(8)) as stub:
            self.assertEqual(stub.link(vm_id=90).vm, "nine")
        shutil.rmtree(self.root(7))
        self.assertTrue(self.broker.says(f"{self.door(7)} is gone"))
        self.check_works(8)
        shutil.rmtree(self.root(8))
        self.assertTrue(wait_until(lambda: self.broker.descriptors() <= before, SECONDS), "descriptors of doors that are gone stay open")

    @unittest.skipIf(NEEDS_ROOT, NEEDS_ROOT)
    def test_nobody_else_comes_through(self):
        self.make_root(7)
        self.await_door(7)
        self.assertFalse(self.accepts(7, self.user(8)))
        with Caller(self.door(7)) as other:  # root, who may do everything, but is not that QEMU
            self.assertTrue(other.is_cut_off())
        self.assertTrue(self.broker.says(f"uid 0 is not the owner of {self.door(7)} (uid {self.user(7)})"))

    @unittest.skipIf(NEEDS_ROOT, NEEDS_ROOT)
    def test_a_root_of_root_is_that_of_its_domains_user_until_it_is_given_away(self):
        (self.root(9) / "tmp").mkdir(parents=True)
        self.await_door(9)
        os.chown(self.root(9), 64009, 64009)
        self.assertTrue(wait_until(lambda: self.door(9).exists() and self.door(9).stat().st_uid == 64009, SECONDS))

    def test_a_root_before_its_tmp(self):
        self.make_root(1)
        self.await_door(1)
        shutil.rmtree(self.root(1) / "tmp")
        self.assertTrue(self.broker.says(f"{self.door(1)} is gone"))
        (self.root(1) / "tmp").mkdir()
        self.await_door(1)

    def test_what_is_no_root_gets_no_door(self):
        for name in ("root-x", "root-0", "other"):
            (self.top / name / "tmp").mkdir(parents=True)
        self.make_root(1)
        self.await_door(1)
        self.assertEqual([path.parent.parent.name for path in self.top.glob(f"*/tmp/{NAME}")], ["root-1"])

    def test_a_name_beyond_the_length_of_a_sockets_path(self):
        deep = self.broker.folder / ("d" * 100)
        deep.mkdir()
        (self.broker.folder / "xen").symlink_to(deep)
        self.make_root(1)
        self.assertTrue(wait_until(lambda: self.is_right(1), SECONDS), self.broker.log_tail())

    def test_two_hundred(self):
        before = self.broker.descriptors()
        for domid in range(1, 201):
            self.make_root(domid)
        missing = lambda: [domid for domid in range(1, 201) if not self.is_right(domid)]  # noqa: E731
        self.assertTrue(wait_until(lambda: not missing(), SECONDS), f"{missing()}")
        for domid in (1, 100, 200):
            self.await_door(domid)
        self.check_works(200)
        for domid in range(1, 200):
            shutil.rmtree(self.root(domid))
        self.assertTrue(wait_until(lambda: self.broker.descriptors() <= before + 4, SECONDS))
        self.check_works(200)

    def test_the_directory_itself_comes_late_and_goes_and_comes_again(self):
        self.assertFalse(self.top.exists())
        for domid in (3, 4, 5):
            self.make_root(domid)
            self.await_door(domid)
            self.check_works(domid)
            shutil.rmtree(self.top if domid == 4 else self.top.parent)
            self.assertTrue(self.broker.says(f"{self.door(domid)} is gone"))

    def test_the_directory_is_exchanged(self):
        self.make_root(3)
        self.await_door(3)
        self.top.rename(self.top.with_name("old"))
        self.make_root(4)
        self.await_door(4)
        self.assertFalse((self.top.with_name("old") / "root-3" / "tmp" / NAME).exists())

    def test_they_are_there_again_after_every_end_of_a_broker(self):
        self.make_root(7)
        self.await_door(7)
        self.broker.relaunch()
        self.await_door(7)
        self.check_works(7)
        self.broker.kill()
        self.make_root(8)
        self.broker.start_again()
        for domid in (7, 8):
            self.await_door(domid)
            self.check_works(domid)
        self.broker.step_down()
        self.assertTrue(self.door(7).exists())
        self.assertFalse(self.accepts(7))
        self.broker.start_again()
        for domid in (7, 8):
            self.await_door(domid)

    def test_they_go_with_the_broker(self):
        self.make_root(7)
        self.await_door(7)
        self.broker.stop()
        self.assertFalse(self.door(7).exists())

    def test_a_socket_that_was_removed_is_made_again(self):
        self.make_root(7)
        self.await_door(7)
        self.door(7).unlink()
        (self.root(7) / "anything").touch()  # else it takes ten seconds to be noticed
        self.await_door(7)


class Strange(Tree):
    """Roots whose QEMU does what it likes in them. The others are served."""

    def setUp(self):
        super().setUp()
        self.outside = self.broker.folder / "outside"
        (self.outside / "tmp").mkdir(parents=True)

    def check(self, text: str, unserved: int = 1) -> None:
        self.make_root(2)
        self.await_door(2)
        self.assertTrue(self.broker.says(text), self.broker.log_tail())
        # Looked at again and again: said once.
        for number in range(3):
            (self.top / f"root-{10 + number}").mkdir()
            self.make_root(20 + number)
            self.await_door(20 + number)
        self.assertEqual(self.broker.count(text), 1)
        self.assertFalse(self.is_right(unserved))
        self.assertEqual(list(self.outside.rglob("*.sock")), [])

    def test_the_root_is_a_link(self):
        self.top.mkdir(parents=True)
        self.root(1).symlink_to(self.outside)
        self.check("not served: it is no folder that can be opened: Not a directory")

    def test_tmp_is_a_link(self):
        self.root(1).mkdir(parents=True)
        (self.root(1) / "tmp").symlink_to(self.outside)
        self.check(f"not served: {self.root(1)}/tmp is no folder that can be opened: Not a directory")

    def test_the_socket_is_a_link(self):
        (self.root(1) / "tmp").mkdir(parents=True)
        self.door(1).symlink_to(self.outside / "vgpu.sock")
        self.check(f"not served: {self.door(1)} exists and is no socket")

    def test_the_socket_is_a_folder(self):
        self.door(1).mkdir(parents=True)
        self.check(f"not served: {self.door(1)} exists and is no socket")

    def test_the_socket_is_a_file_until_it_is_moved_away(self):
        (self.root(1) / "tmp").mkdir(parents=True)
        self.door(1).write_text("precious")
        self.check(f"not served: {self.door(1)} exists and is no socket")
        self.assertEqual(self.door(1).read_text(), "precious")
        self.door(1).unlink()
        (self.root(1) / "anything").touch()
        self.assertTrue(wait_until(self.door(1).is_socket, SECONDS))

    @unittest.skipIf(NEEDS_ROOT, NEEDS_ROOT)
    def test_somebody_listens_there(self):
        self.root(1).mkdir(parents=True)
        tmp = self.broker.folder / "tmp"
        tmp.mkdir()
        os.chown(tmp, self.user(1), -1)
        squatter = socket.socket(socket.AF_UNIX)
        self.addCleanup(squatter.close)
        with as_user(self.user(1)):
            squatter.bind(str(tmp / NAME))
            squatter.listen()
        tmp.rename(self.root(1) / "tmp")
        self.await_door(1)
        self.check_works(1)
        self.assertTrue(self.broker.says(f"(uid {self.user(1)}) listened there and is replaced"))

    def test_leftover_sockets_are_replaced(self):
        (self.root(1) / "tmp").mkdir(parents=True)
        leftover = socket.socket(socket.AF_UNIX)
        leftover.bind(str(self.door(1)))
        leftover.close()
        self.await_door(1)

    def test_one_that_swaps_its_tmp_for_a_link_gets_no_socket_elsewhere(self):
        self.make_root(1)
        self.make_root(2)
        tmp, link, aside = (self.root(1) / name for name in ("tmp", "link", "aside"))
        link.symlink_to(self.outside)
        end = time.monotonic() + 3
        while time.monotonic() < end:
            for old, new in ((tmp, aside), (link, tmp), (tmp, link), (aside, tmp)):
                old.rename(new)
        self.await_door(1)
        self.check_works(2)
        self.assertEqual([path.name for path in self.outside.rglob("*")], ["tmp"])
        self.assertEqual(os.stat(self.outside).st_uid, os.geteuid())

    def test_one_that_never_keeps_still_costs_little(self):
        self.make_root(1)
        self.make_root(2)
        self.await_door(1)
        self.await_door(2)
        before, thing = cpu_seconds_of(self.broker.pid), self.root(1) / "thing"
        for _ in range(20_000):
            thing.touch()
            thing.unlink()
        self.check_works(2)
        self.assertLess(cpu_seconds_of(self.broker.pid) - before, 0.5)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
