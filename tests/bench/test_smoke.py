# SPDX-License-Identifier: Apache-2.0
"""test_smoke.py BUILD: the benchmark ends, gives every figure, and writes JSON and an SVG that can be read. No time is
looked at: figures are no tests."""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "lib"))
from bench import plan  # noqa: E402

BUILD = pathlib.Path(sys.argv.pop(1)).resolve()
SECONDS = 100  # a few where there is nothing else to do


def bench(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-B", str(ROOT / "scripts" / "bench"), "--build", str(BUILD), "--driver", "sim", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)


class Smoke(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = cls.enterClassContext(tempfile.TemporaryDirectory(prefix="vgpu-bench-"))
        cls.out = pathlib.Path(folder)
        cls.done = bench("--smoke", "--out", folder)
        if cls.done.returncode != 0:
            raise AssertionError(f"exit status {cls.done.returncode}\n{cls.done.stdout}{cls.done.stderr}")
        cls.results = json.loads((cls.out / "bench.json").read_text())

    def figures(self, name: str) -> list[dict]:
        return [figure for figure in self.results["figures"] if figure["figure"] == name]

    def test_every_figure_was_measured(self):
        for names in plan.THEMES.values():
            for name in names:
                self.assertTrue(self.figures(name), name)
        for figure in self.results["figures"]:
            # What is beyond 1 ms of GPU work may come out as nothing.
            least = 0 if figure["figure"] == "wait_client_asleep" else 1e-9
            self.assertGreaterEqual(figure["remoted"]["median"], least, figure)
            self.assertLessEqual(figure["remoted"]["least"], figure["remoted"]["most"], figure)

    def test_several_threads_and_clients_were_at_work(self):
        conditions = {(f["threads"], f["clients"]) for f in self.figures("records_posted")}
        self.assertEqual(conditions, {(1, 1), (2, 1), (1, 2)})

    def test_without_a_real_driver_nothing_is_called_native(self):
        self.assertEqual(self.results["machine"]["gpu"], "software")
        self.assertFalse([f for f in self.results["figures"] if "native" in f or "ratio" in f])

    def test_parts_stand_beside_a_whole(self):
        parts = self.results["parts"]
        for part in parts:
            self.assertGreaterEqual(part["median"], 0, part)
        if self.results["machine"]["processors"] > 1:
            self.assertEqual({p["of"] for p in parts if p["role"] == "whole"}, {"enqueue", "take", "round_trip"})

    def test_chart_is_well_formed_and_shows_every_figure(self):
        chart = ElementTree.parse(self.out / "bench.svg").getroot()
        self.assertEqual(chart.tag, "{http://www.w3.org/2000/svg}svg")
        bars = [bar for bar in chart.iter("{http://www.w3.org/2000/svg}rect") if bar.find("{http://www.w3.org/2000/svg}title") is not None]
        self.assertGreaterEqual(len(bars), len(self.results["figures"]))

    def test_table_names_the_machine(self):
        self.assertIn("software GPU", self.done.stdout)
        self.assertIn("16 and wait", self.done.stdout)

    def test_unknown_theme_is_wrong_usage(self):
        self.assertEqual(bench("--only", "nonsense").returncode, 64)

    def test_missing_build_fails_with_a_sentence(self):
        done = bench("--build", str(self.out), "--out", str(self.out), "--only", "enqueue")
        self.assertEqual(done.returncode, 1)
        self.assertIn("bench: FAIL:", done.stderr)


if __name__ == "__main__":
    unittest.main()
