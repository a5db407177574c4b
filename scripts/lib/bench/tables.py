# SPDX-License-Identifier: Apache-2.0
"""Results as text for a terminal."""
from .plan import THEMES
from .results import NATIVE, REMOTED, Figure, Results, quiet, singles, wholes

TITLES = {
    "enqueue": "A posted launch, until the call returns",
    "round_trip": "Calls that wait",
    "records": "Launches a second",
    "bytes": "Bytes a second",
    "start": "From the start of a process",
}
MEANINGS = {
    "enqueue": "launch, worker awake",
    "enqueue_asleep": "launch, worker asleep",
    "round_trip": "cuCtxGetLimit, polling",
    "round_trip_worker_asleep": "cuCtxGetLimit, worker asleep",
    "launch_and_wait": "launch and wait, polling",
    "launch_and_wait_worker_asleep": "launch and wait, worker asleep",
    "wait_client_asleep": "wait for 1 ms of GPU work, beyond it",
    "records_posted": "posted",
    "records_batched": "16 and wait",
    "h2d_pageable": "to the device, pageable",
    "d2h_pageable": "to the host, pageable",
    "h2d_pinned": "to the device, pinned",
    "d2h_pinned": "to the host, pinned",
    "first_call": "until cuInit returns",
    "first_result": "until a kernel has run",
}


def format_value(value: float, unit: str) -> str:
    """With a unit that leaves one to four digits before the point."""
    steps = {"ns": ((1e9, "s"), (1e6, "ms"), (1e3, "us"), (1, "ns")), "bytes/s": ((1e9, "GB/s"), (1e6, "MB/s"), (1, "B/s"))}
    for size, name in steps.get(unit, ((1e6, "M/s"), (1e3, "k/s"), (1, "/s"))):
        if value >= size or size == 1:
            scaled = value / size
            return f"{scaled:.{0 if scaled >= 100 else 1 if scaled >= 10 else 2}f} {name}"
    raise AssertionError("every list ends with 1")


def condition(figure: Figure) -> str:
    if figure.clients > 1:
        return f"{figure.clients} clients"
    return f"{figure.threads} thread{'s' if figure.threads > 1 else ''}"


def label(figure: Figure) -> str:
    return MEANINGS.get(figure.name, figure.name)


def _way_cells(figure: Figure, way: str) -> list[str]:
    if not figure.has(way):
        return [""] * (2 if figure.is_rate() else 3)
    least, most = figure.spread(way)
    p99 = [] if figure.is_rate() else [format_value(figure.p99(way), figure.unit)]
    return [format_value(figure.median(way), figure.unit), *p99, f"{format_value(least, figure.unit)} - {format_value(most, figure.unit)}"]


def _figure_row(figure: Figure, ways: list[str], with_condition: bool) -> list[str]:
    row = [label(figure)] + ([condition(figure)] if with_condition else [])
    for way in ways:
        row += _way_cells(figure, way)
    if len(ways) == 2:
        each = figure.ratios_of_pairs()
        row += [f"{figure.ratio():.2f}", f"{min(each):.2f} - {max(each):.2f}"] if each else ["", ""]
    return row


def _columns(rows: list[list[str]]) -> list[str]:
    """Text to the left, everything with a digit first to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    right = [all(not row[i] or row[i][0] in "0123456789-" for row in rows[1:]) for i in range(len(widths))]
    return ["  ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, right)).rstrip() for row in rows]


def figure_tables(results: Results) -> list[str]:
    lines = []
    for theme, names in THEMES.items():
        figures = results.of_theme(names)
        if not figures:
            continue
        ways = [way for way in (NATIVE, REMOTED) if any(f.has(way) for f in figures)]
        with_condition = any(f.threads > 1 or f.clients > 1 for f in figures)
        head = ["figure"] + (["at once"] if with_condition else [])
        for way in ways:
            head += [way, "spread"] if figures[0].is_rate() else [way, "p99", "spread"]
        head += ["ratio", "of pairs"] if len(ways) == 2 else []
        lines += ["", f"{TITLES[theme]}:", *_columns([head] + [_figure_row(f, ways, with_condition) for f in figures])]
    return lines


def _part_row(part: dict, name: str = "") -> list[str]:
    return [name or part["part"], f"{quiet(part):.1f}", f"{part['median']:.1f}", part["how"]]


def part_tables(parts: list[dict]) -> list[str]:
    """part | ns | how measured; the sum beside the measured whole."""
    lines = []
    for whole, own in wholes(parts):
        total = sum(quiet(part) for part in own)
        rows = [[f"Parts of: {whole['part']}", "ns", "median", "how measured"]]
        rows += [_part_row(part) for part in own]
        rows.append(["sum of the parts", f"{total:.1f}", "", ""])
        rows.append(_part_row(whole, "measured as a whole"))
        rows.append(["not explained by a part", f"{quiet(whole) - total:.1f}", "", ""])
        lines += ["", *_columns(rows)]
    if rest := singles(parts):
        lines += ["", *_columns([["Beside them", "ns", "median", "how measured"], *map(_part_row, rest)])]
    return lines + (["", "ns: the median of the quietest repetition; median: of all values"] if parts else [])


def describe(machine: dict) -> str:
    gpu = machine.get("device", "no device") + (" (software GPU: no figure of a GPU)" if machine["gpu"] == "software" else "")
    return f"{machine['processors']} processors ({machine['processor']}); {gpu}; driver {machine['driver']}"
