# SPDX-License-Identifier: Apache-2.0
"""A whole measurement: rounds in which native and remoted alternate, several clients, parts."""
import time

from harness.layout import Layout

from .plan import PARTS, THEMES, Plan
from .results import NATIVE, REMOTED, Results
from .runner import measure_parts, run_alone, run_together


class Campaign:
    """environments: way -> environment of a program that goes that way; without native, only remoted is measured."""

    def __init__(self, layout: Layout, environments: dict[str, dict[str, str]], plan: Plan, themes: list[str], deadline: float, say=print):
        self.program = layout.program("vgpu-bench")
        self.parts_program = layout.program("vgpu-bench-parts")
        self.environments = environments
        self.plan = plan
        self.themes = themes
        self.deadline = deadline
        self.say = say

    def run(self, results: Results) -> Results:
        """Raises BenchFailed; what was measured before stays in results."""
        if PARTS in self.themes:
            self.say("parts of a call")
            results.parts = measure_parts(self.parts_program, self.plan, self.environments[REMOTED], self.deadline)
        if not [theme for theme in self.themes if theme != PARTS]:
            return results
        for number in range(self.plan.rounds):
            begun = time.monotonic()
            self._round(number, results)
            took = time.monotonic() - begun
            if number + 1 < self.plan.rounds and time.monotonic() + took > self.deadline:
                results.notes.append(f"{number + 1} of {self.plan.rounds} rounds: there was no time for more")
                break
        return results

    def _ways(self, number: int) -> list[str]:
        """The order alternates, so that a drift of the machine does not favour one side."""
        ways = [way for way in (NATIVE, REMOTED) if way in self.environments]
        return ways if number % 2 == 0 else ways[::-1]

    def _round(self, number: int, results: Results) -> None:
        first_only = self.plan.once and number > 0
        themes = [theme for theme in self.themes if theme != PARTS and not (first_only and theme == "start")]
        for way in self._ways(number):
            self.say(f"round {number + 1} of {self.plan.rounds}: {way}")
            results.add(way, run_alone(self.program, themes, self.plan, self.environments[way], self.deadline))
        if not first_only:
            self._crowds(number, results)

    def _crowds(self, number: int, results: Results) -> None:
        wanted = {figure for theme in self.themes if theme != PARTS for figure in THEMES[theme]}
        for figure in (f for f in self.plan.crowd_figures if f in wanted):
            for clients in self.plan.clients:
                for way in self._ways(number):
                    self.say(f"round {number + 1} of {self.plan.rounds}: {way}, {clients} clients, {figure}")
                    line = run_together(self.program, figure, clients, self.plan, self.environments[way], self.deadline)
                    results.add(way, [line])
