# SPDX-License-Identifier: Apache-2.0
"""test_ends.py BUILD [--seeds N] [--first SEED]: programs that end in the middle of their work, in many ways. Each must end, none may break the
protocol, and nothing of them may stay."""
import argparse
import os
import pathlib
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "scripts" / "lib"))
from harness.ends import bad_ends  # noqa: E402
from harness.layout import Layout  # noqa: E402
from harness.private_broker import PrivateBroker  # noqa: E402
from harness.processes import wait_until  # noqa: E402

arguments = argparse.ArgumentParser()
arguments.add_argument("build", type=pathlib.Path)
arguments.add_argument("--seeds", type=int, default=200)
arguments.add_argument("--first", type=int, default=0)
OPTIONS, WORDS = arguments.parse_known_args()
LAYOUT = Layout(OPTIONS.build.resolve())
SECONDS = 40
SANITIZERS = os.environ.get("VGPU_TEST_SANITIZED", "")
# A sanitizer's allocator does not survive a fork beside other threads.
MORE = ("--no-children",) if SANITIZERS else ()
# ThreadSanitizer often leaves no place for a window: then the program cannot start.
RIGHT = (0, 1) if "thread" in SANITIZERS else (0,)


class Ends(unittest.TestCase):
    def test_every_end_is_an_end(self):
        with PrivateBroker(LAYOUT, "sim") as broker:
            seeds = range(OPTIONS.first, OPTIONS.first + OPTIONS.seeds)
            self.assertEqual(bad_ends(LAYOUT, broker.environment(), seeds, MORE, RIGHT), [])
            self.assertTrue(wait_until(lambda: not broker.workers(), SECONDS), "workers stay")
            self.assertNotIn("broke the protocol", broker.log_tail(100_000))


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *WORDS], verbosity=2)
