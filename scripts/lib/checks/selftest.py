# SPDX-License-Identifier: Apache-2.0
"""Proves that the rules of scripts/check find what they are for, and leave alone what is right."""
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from checks import sources, text  # noqa: E402
from checks.tree import Tree, without_comments_and_strings  # noqa: E402


class Rules(unittest.TestCase):
    def setUp(self):
        self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def findings(self, rule, files: dict[str, str]) -> list[str]:
        for name, content in files.items():
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_text(content)
        return [line for line in rule(Tree(self.root)) if not line.startswith("note:")]

    def test_include_against_the_direction(self):
        files = {"common/base/a.hpp": '#include "common/wire/reader.hpp"\n'}
        self.assertEqual(len(self.findings(sources.check_includes, files)), 1)

    def test_programs_do_not_include_each_other(self):
        files = {"broker/a.cpp": '#include "worker/b.hpp"\n', "worker/a.cpp": '#include "worker/sim/b.hpp"\n', "shim/a.cpp": '#include "broker/b.hpp"\n'}
        self.assertEqual(len(self.findings(sources.check_includes, files)), 3)

    def test_stub_sees_only_the_abi(self):
        files = {"stub/core/a.c": '#include "common/abi/window_layout.h"\n#include "common/base/log.hpp"\n'}
        self.assertEqual(len(self.findings(sources.check_includes, files)), 1)

    def test_allowed_includes(self):
        files = {
            "common/wire/a.hpp": '#include "common/ring/r.hpp"\n#include "common/base/b.hpp"\n',
            "worker/main.cpp": '#include "common/api/ops.gen.hpp"\n#include "worker/intake/x.hpp"\n',
            "tests/unit/a.cpp": '#include "broker/b.hpp"\n#include "worker/c.hpp"\n',
        }
        self.assertEqual(self.findings(sources.check_includes, files), [])

    def test_casts_outside_their_folders(self):
        files = {
            "broker/a.cpp": "auto* p = reinterpret_cast<int*>(q);\nvolatile int x;\n",
            "common/shm/a.cpp": "auto* p = reinterpret_cast<int*>(q);\n",
            "broker/b.cpp": '// volatile\nauto s = "reinterpret_cast"; asm volatile("pause"); bind(1, reinterpret_cast<const sockaddr*>(&a), 2);\n',
        }
        self.assertEqual([line.split(":")[1] for line in self.findings(sources.check_memory, files)], ["1", "2"])

    def test_cuda_in_the_broker(self):
        files = {"broker/a.cpp": '// libcuda.so.1 is never opened\nauto* h = dlopen("libcuda.so.1", 1);\ncuInit(0);\n'}
        self.assertEqual(len(self.findings(sources.check_cuda_free, files)), 3)

    def test_leftovers_links_and_scripts(self):
        files = {"a.md": "[here](b.md) [there](c.md)\n", "b.md": "TO" + "DO\n", "d.sh": "if true\n", "e.py": "def (\n"}
        self.assertEqual(len(self.findings(text.check_words, files)), 1)
        self.assertEqual(len(self.findings(text.check_links, files)), 1)
        self.assertEqual(len(self.findings(text.check_scripts, files)), 2)

    def test_lines_stay_when_comments_go(self):
        stripped = without_comments_and_strings("a /* x\ny */ b\n\"s\" 1'000 'c'\n")
        self.assertEqual(stripped.count("\n"), 3)
        self.assertNotIn("y", stripped)
        self.assertIn("1_000", stripped)


if __name__ == "__main__":
    unittest.main()
