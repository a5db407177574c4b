# SPDX-License-Identifier: Apache-2.0
"""test_frameworks.py: what gpu-test's section frameworks makes of programs that hang, crash, poison their process or
compute something else. The framework is a file of our own, and "remoted" is a word in its environment."""
import os
import pathlib
import shutil
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "scripts" / "lib"))
from gputest.context import NATIVE, REMOTED, Context  # noqa: E402
from gputest.framework_runs import Group, GroupRun  # noqa: E402
from gputest.framework_table import row_of, total_table  # noqa: E402

PROGRAMS = ROOT / "tests" / "gpu" / "frameworks"
MODULE = '''
import os, time
from harness import Close, Skip, Told, cases, program
REQUIRES = ("json",)
ENVIRONMENT = {"main": {"SEEN": "seen"}}
remoted, state = os.environ["WAY"] == "remoted", {"broken": False}
def healthy(): assert not state["broken"]
@program("main")
def right(): return {"n": 1, "set": os.environ["SEEN"]}
@program("main")
def wrong(): return {"n": int(remoted)}
@program("main")
def nearly(): return {"x": Close(1.0 + remoted * 1e-9), "told": Told(str(remoted))}
@program("main")
def crashes_remoted():
    if remoted: os.abort()
    return {"n": 1}
@program("main")
def hangs_remoted():
    while remoted: time.sleep(1)
    return {"n": 1}
@program("main")
def poisons_remoted():
    state["broken"] = remoted
    if remoted: raise ValueError("poison")
    return {"n": 1}
@program("main")
def comes_last(): return {"n": 2}
@program("main")
def fails_both(): raise ValueError("both")
@program("main")
def cannot_be_said(): raise Skip("no reason")
@cases("cases")
def many():
    for n in range(3): yield f"case.number.{n}", lambda n=n: {"n": n}
'''
EXPECTED = {"right": "same", "wrong": "DIFFERS", "nearly": "close", "crashes_remoted": "ONLY NATIVE", "hangs_remoted": "ONLY NATIVE",
            "poisons_remoted": "ONLY NATIVE", "comes_last": "same", "fails_both": "fails both", "cannot_be_said": "missing"}


class NoBroker:
    def environment(self) -> dict[str, str]:
        return os.environ | {"WAY": "remoted"}


class Frameworks(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        for name in ("harness.py", "run_programs.py", "stacks.py"):
            shutil.copy(PROGRAMS / name, self.folder)
        (self.folder / "fake.py").write_text(MODULE)
        self.context = Context(None, NoBroker(), os.environ | {"WAY": "native"}, self.folder, time.monotonic() + 100, False)
        self.context.begin("test", 100)

    def run_group(self, group: str, glob: str = "*", module: str = "fake") -> list[dict]:
        group = Group("Fake", module, group, program_seconds=2, seconds=60)
        return [GroupRun(self.context, self.folder, group, way, {}, glob).run() for way in (NATIVE, REMOTED)]

    def test_each_program_has_its_word(self):
        native, remoted = self.run_group("main")
        rows = [row_of("Fake", name, native.records[name], remoted.records[name]) for name in native.records]
        self.assertEqual({row.program: row.word for row in rows}, EXPECTED)
        notes = {row.program: row.note for row in rows}
        self.assertIn("process died", notes["crashes_remoted"])
        self.assertIn("hung", notes["hangs_remoted"])
        self.assertIn("poison", notes["poisons_remoted"])
        self.assertIn("hangs_remoted", "".join(path.read_text() for path in self.folder.glob("*.remoted.err")), "no stack of what hung")
        self.assertIn("3 ONLY NATIVE", total_table(rows, {})[1])

    def test_cases_are_programs_of_their_own(self):
        native, _ = self.run_group("cases", "case.number.[12]")
        self.assertEqual(list(native.records), ["case.number.1", "case.number.2"])

    def test_a_framework_that_does_not_import_is_missing(self):
        (self.folder / "absent.py").write_text(MODULE.replace('("json",)', '("no_such_framework",)'))
        native, remoted = self.run_group("main", module="absent")
        self.assertIn("no_such_framework", native.missing)
        self.assertEqual(native.records, {})


if __name__ == "__main__":
    unittest.main(verbosity=2)
