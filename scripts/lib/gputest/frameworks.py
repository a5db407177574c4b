# SPDX-License-Identifier: Apache-2.0
"""PyTorch: the same bits remoted as natively."""
import pathlib
import subprocess
from collections import Counter

from .context import NATIVE, REMOTED, Context, Result


def has_torch(environment: dict[str, str]) -> bool:
    # Without importing it, which takes seconds.
    probe = "import importlib.util, sys; sys.exit(importlib.util.find_spec('torch') is None)"
    try:
        return subprocess.run(["python3", "-c", probe], env=environment, capture_output=True, timeout=30).returncode == 0
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False


def parse(text: str) -> dict[tuple[str, str], str]:
    """(what, repetition) -> hash."""
    return {(w[1], w[2]): w[3] for w in (line.split() for line in text.splitlines()) if len(w) == 4 and w[0] == "hash"}


def run_torch(context: Context, script: pathlib.Path, repetitions: int) -> Result:
    if not has_torch(context.environment(NATIVE)):
        return Result(skipped="python3 has no torch")
    result, hashes = Result(), {}
    for way in (NATIVE, REMOTED):
        run = context.run(way, ["python3", script, "--repetitions", repetitions], "torch")
        if not run.ok:
            result.fail(f"{way}: {run.complaint()}")
        hashes[way] = parse(run.out)
        result.lines += [f"  {way:8} {line}" for line in run.out.splitlines() if line.startswith("time ")]
    compare_hashes(hashes[NATIVE], hashes[REMOTED], "native", result, repetitions)
    equal = sum(hashes[REMOTED].get(key) == value for key, value in hashes[NATIVE].items())
    result.summary = f"{equal} of {len(hashes[NATIVE])} results bit-equal to native"
    return result


def compare_hashes(expected: dict, found: dict, reference: str, result: Result, repetitions: int | None = None) -> None:
    """Of parse(). repetitions: how many of each there must be."""
    counts = Counter(what for what, _ in expected)
    equal = Counter(key[0] for key, value in expected.items() if found.get(key) == value)
    for what, count in counts.items():
        own = len({value for key, value in expected.items() if key[0] == what})
        note = "" if own == 1 else f" (the {reference} repetitions gave {own} different results)"
        line = f"  {what:16} {equal[what]} of {count} repetitions bit-equal to {reference}{note}"
        if equal[what] == count and repetitions in (None, count):
            result.lines.append(line)
        else:
            result.fail(line)
    if not counts:
        result.fail(f"the {reference} run printed no hash")
