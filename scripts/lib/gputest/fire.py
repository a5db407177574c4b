# SPDX-License-Identifier: Apache-2.0
"""A third of the death matrix: each process killed, stopped and starved; the others go on."""
import os
import pathlib
import sys

from .context import NATIVE, Context, Result

# A cell mostly waits for processes to start; each has at most four contexts on the GPU.
MOST_JOBS = 8


def run_fire(context: Context, script: pathlib.Path) -> Result:
    if not context.layout.has("fire_client"):
        return Result(skipped="fire_client was not built")
    jobs = max(2, min(MOST_JOBS, (os.cpu_count() or 2) // 2))
    command = [sys.executable, "-B", script, "--build", context.layout.top, "--driver", context.broker.driver, "--third"]
    run = context.run(NATIVE, [*command, "--jobs", jobs, "--json", context.out / "fire.json", "--keep", context.out / "fire"], "third")
    # The lines before the table tell of each cell when it was done.
    _, begin, table = run.out.partition("\nseconds to recovery")
    result = Result(passed=run.ok, lines=(begin + table).strip("\n").splitlines())
    result.summary = result.lines.pop().removeprefix("fire: ") if run.status in (0, 1) and result.lines else run.complaint()
    return result
