# SPDX-License-Identifier: Apache-2.0
"""Runs of tests/programs/ends.c: a program that ends in the middle of its own work, in a way that the seed says."""
import concurrent.futures
import subprocess
from collections.abc import Iterable

from harness.layout import Layout

AT_ONCE = 4


def bad_ends(layout: Layout, environment: dict[str, str], seeds: Iterable[int], more: tuple[str, ...] = (), right: tuple[int, ...] = (0,), seconds: float = 40) -> list[tuple[int, str]]:
    """Each seed's run that did not end, or in another way than its own, with what it said. more: further arguments of the program."""

    def complaint(seed: int) -> str:
        command = [layout.program("ends"), str(seed), *more]
        try:
            done = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace", timeout=seconds)
        except subprocess.TimeoutExpired:
            return f"does not end within {seconds:g} s"
        return "" if done.returncode in right else f"status {done.returncode}: {done.stdout[-500:]}{done.stderr[-3000:]}"

    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        return [(seed, said) for seed, said in pool.map(lambda seed: (seed, complaint(seed)), seeds) if said]
