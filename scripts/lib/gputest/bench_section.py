# SPDX-License-Identifier: Apache-2.0
"""The benchmark as a section of gpu-test: native and remoted in alternation. It fails only where nothing was measured."""
import time

from bench import chart, plan, tables
from bench.campaign import Campaign
from bench.results import NATIVE as BENCH_NATIVE
from bench.results import REMOTED as BENCH_REMOTED
from bench.results import Results, describe_machine
from bench.runner import BenchFailed

from .context import NATIVE, REMOTED, Context, Result

THEMES = [*plan.THEMES, plan.PARTS]


def run_bench(context: Context) -> Result:
    if not context.layout.has("vgpu-bench"):
        return Result(skipped="vgpu-bench was not built")
    ways = {NATIVE: BENCH_NATIVE, REMOTED: BENCH_REMOTED}
    environments = {ways[way]: context.environment(way) for way in context.ways("vgpu-bench")}
    results = Results(describe_machine(context.broker.driver, context.real_driver))
    result = Result()
    try:
        deadline = time.monotonic() + context.time_left()
        Campaign(context.layout, environments, plan.SECTION, THEMES, deadline, say=lambda _: None).run(results)
    except BenchFailed as failure:
        result.fail(str(failure))
    (context.out / "bench.json").write_text(results.as_json())
    (context.out / "bench.svg").write_text(chart.draw(results))
    result.lines += [tables.describe(results.machine), *tables.figure_tables(results), *tables.part_tables(results.parts)]
    result.lines += [f"note: {note}" for note in results.notes]
    result.summary = f"{len(results.figures)} figures, {len(results.parts)} parts; bench.json, bench.svg"
    return result
