# SPDX-License-Identifier: Apache-2.0
"""native_micro in paired runs: what each figure costs natively and remoted."""
from statistics import median

from .context import NATIVE, REMOTED, Context, Result, table

# figure -> the most that remoted may cost, as a multiple of native
FLOORS = {"sync_launch_us": 2.0, "d2h4_us": 2.0, "h2d4_us": 2.0, "h2d_pinned_GBs": 1.1, "d2h_pinned_GBs": 1.1}
MUST_BE_ZERO = {"vecadd_bad"}


def parse(text: str) -> dict[str, float]:
    figures = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) == 2:
            try:
                figures[words[0]] = float(words[1])
            except ValueError:
                continue
    return figures


def slowdown(figure: str, native: float, remoted: float) -> float:
    """More than 1 is slower remoted, for times and for rates alike."""
    if figure.endswith("GBs"):
        return native / remoted if remoted else float("inf")
    return remoted / native if native else float("inf")


def run_micro(context: Context, pairs: int) -> Result:
    program = context.layout.program("native_micro")
    if not program.exists():
        return Result(skipped="native_micro was not built: there was no nvcc")
    if NATIVE not in context.ways("native_micro"):
        return Result(skipped="it needs a driver that NVIDIA's run-time library accepts natively")
    result = Result()
    runs: dict[str, list[dict[str, float]]] = {NATIVE: [], REMOTED: []}
    for pair in range(pairs):
        # The order alternates, so that a drift of the machine does not favour one side.
        for way in (NATIVE, REMOTED) if pair % 2 == 0 else (REMOTED, NATIVE):
            run = context.run(way, [program], f"run{pair + 1}")
            if not run.ok:
                result.fail(f"run {pair + 1}, {way}: {run.complaint()}")
                return result
            runs[way].append(parse(run.out))
    rows, tsv, missed = [], ["figure\tnative\tremoted\tratio\tleast\tmost\tfloor"], []
    for figure in runs[NATIVE][0]:
        native, remoted = ([r[figure] for r in runs[way] if figure in r] for way in (NATIVE, REMOTED))
        if len(native) != pairs or len(remoted) != pairs:
            result.fail(f"{figure}: not every run printed it")
            continue
        if figure in MUST_BE_ZERO:
            if any(native + remoted):
                result.fail(f"{figure} is not 0: native {native}, remoted {remoted}")
            continue
        ratio = slowdown(figure, median(native), median(remoted))
        each = [slowdown(figure, n, r) for n, r in zip(native, remoted)]
        floor = FLOORS.get(figure)
        verdict = "" if floor is None else f"{'ok' if ratio <= floor else 'MISSED'} (at most {floor:g})"
        if floor is not None and ratio > floor:
            missed.append(figure)
        rows.append((figure, f"{median(native):.3f}", f"{median(remoted):.3f}", f"{ratio:.3f}", f"{min(each):.2f}-{max(each):.2f}", verdict))
        tsv.append("\t".join([figure, f"{median(native):.4f}", f"{median(remoted):.4f}", f"{ratio:.4f}", f"{min(each):.4f}", f"{max(each):.4f}", str(floor or "")]))
    (context.out / "micro.tsv").write_text("\n".join(tsv) + "\n")
    result.lines = table(rows, ("figure", "native", "remoted", "ratio", "of pairs", "floor")) + result.lines
    result.lines.append(f"medians of {pairs} paired runs; ratio above 1 = slower remoted, for GB/s too (native / remoted)")
    if missed:
        result.fail(f"floors missed: {', '.join(missed)}")
    absent = [figure for figure in FLOORS if figure not in runs[NATIVE][0]]
    if absent:
        result.fail(f"figures with a floor that were not measured: {', '.join(absent)}")
    result.summary = f"{len(rows)} figures, {len(FLOORS) - len(missed) - len(absent)} of {len(FLOORS)} floors held"
    return result
