# SPDX-License-Identifier: Apache-2.0
"""Results as one SVG: a panel per theme, bars on a logarithmic scale, every bar with its value."""
import math
from html import escape

from .plan import THEMES
from .results import NATIVE, REMOTED, Figure, Results, quiet, wholes
from .tables import TITLES, condition, describe, format_value, label

WIDTH = 960
MARGIN = 24
LABELS = 300  # room for the names of bars
VALUES = 150  # and for their values
BAR = 13
GAP = 7
HEAD = 60  # title and axis of a panel
COLOURS = {NATIVE: "#9aa3ad", REMOTED: "#2f6fb3"}
PART_COLOURS = ("#2f6fb3", "#5b9bd5", "#f2b134", "#d9663b", "#7a9e3f", "#8a6bb1", "#4fb0a5", "#c06c9b")
REST = "#d5d9de"
INK, FAINT = "#1f2328", "#d8dee4"
EXPLANATIONS = {
    "enqueue": "Logarithmic scale; median; the thin line ends at the 99th percentile. Less is better.",
    "round_trip": "Logarithmic scale; median; the thin line ends at the 99th percentile. Less is better.",
    "records": "Logarithmic scale; median of the repetitions. More is better.",
    "bytes": "Logarithmic scale; median of the repetitions. More is better.",
    "start": "Logarithmic scale; median; the thin line ends at the 99th percentile. Less is better.",
}


class Canvas:
    def __init__(self):
        self.items: list[str] = []
        self.y = MARGIN

    def text(self, x: float, y: float, text: str, size: int = 12, anchor: str = "start", weight: str = "normal", colour: str = INK) -> None:
        self.items.append(f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" font-weight="{weight}" fill="{colour}">{escape(text)}</text>')

    def bar(self, x: float, y: float, width: float, colour: str, title: str, height: float = BAR) -> None:
        self.items.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 1):.1f}" height="{height}" fill="{colour}"><title>{escape(title)}</title></rect>')

    def line(self, x1: float, y1: float, x2: float, y2: float, colour: str) -> None:
        self.items.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>')

    def finish(self) -> str:
        height = self.y + MARGIN
        head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:.0f}" viewBox="0 0 {WIDTH} {height:.0f}" font-family="system-ui, sans-serif">'
        return "\n".join([head, f'<rect width="{WIDTH}" height="{height:.0f}" fill="#ffffff"/>', *self.items, "</svg>"]) + "\n"


class LogScale:
    """From the power of ten below the least value to the one above the greatest."""

    def __init__(self, values: list[float]):
        positive = [v for v in values if v > 0] or [1.0]
        self.low = math.floor(math.log10(min(positive)) - 0.05)
        self.high = max(math.ceil(math.log10(max(positive))), self.low + 1)

    def x(self, value: float) -> float:
        room = WIDTH - 2 * MARGIN - LABELS - VALUES
        part = (math.log10(value) - self.low) / (self.high - self.low) if value > 0 else 0
        return MARGIN + LABELS + room * min(max(part, 0), 1)

    def decades(self) -> list[float]:
        return [10.0**power for power in range(self.low, self.high + 1)]


def _row_label(figure: Figure, with_condition: bool) -> str:
    return f"{label(figure)}, {condition(figure)}" if with_condition else label(figure)


def _tick(value: float, unit: str) -> str:
    number, name = format_value(value, unit).split()
    return f"{float(number):g} {name}"


def _draw_axis(canvas: Canvas, scale: LogScale, unit: str, top: float, bottom: float) -> None:
    for value in scale.decades():
        canvas.line(scale.x(value), top, scale.x(value), bottom, FAINT)
        canvas.text(scale.x(value), top - 4, _tick(value, unit), 10, "middle", colour="#57606a")


def _draw_figure(canvas: Canvas, figure: Figure, ways: list[str], scale: LogScale, with_condition: bool) -> None:
    height = len(ways) * BAR
    canvas.text(MARGIN + LABELS - 8, canvas.y + height / 2 + 4, _row_label(figure, with_condition), anchor="end")
    for way in ways:
        if figure.has(way):
            value, start = figure.median(way), scale.x(0)
            shown = format_value(value, figure.unit)
            canvas.bar(start, canvas.y, scale.x(value) - start, COLOURS[way], f"{way}: {shown}", BAR - 1)
            end = scale.x(value)
            if not figure.is_rate():
                end = max(end, scale.x(figure.p99(way)))
                canvas.line(scale.x(value), canvas.y + BAR / 2 - 0.5, end, canvas.y + BAR / 2 - 0.5, COLOURS[way])
            ratio = f"  (ratio {figure.ratio():.2f})" if way == REMOTED and figure.ratio() is not None else ""
            canvas.text(end + 6, canvas.y + BAR - 3, shown + ratio, 11)
        canvas.y += BAR
    canvas.y += GAP


def _draw_theme(canvas: Canvas, theme: str, figures: list[Figure]) -> None:
    ways = [way for way in (NATIVE, REMOTED) if any(f.has(way) for f in figures)]
    values = [f.median(way) for f in figures for way in ways if f.has(way)]
    values += [f.p99(way) for f in figures for way in ways if f.has(way) and not f.is_rate()]
    scale = LogScale(values)
    with_condition = any(f.threads > 1 or f.clients > 1 for f in figures)
    canvas.text(MARGIN, canvas.y + 12, TITLES[theme], 15, weight="bold")
    canvas.text(MARGIN, canvas.y + 28, EXPLANATIONS[theme], 11, colour="#57606a")
    canvas.y += HEAD
    _draw_axis(canvas, scale, figures[0].unit, canvas.y - 6, canvas.y + len(figures) * (len(ways) * BAR + GAP) - GAP)
    for figure in figures:
        _draw_figure(canvas, figure, ways, scale, with_condition)
    canvas.y += 14


def _pieces(whole: dict, own: list[dict]) -> list[tuple[str, float, str]]:
    """Name, nanoseconds and colour of what a whole consists of."""
    pieces = [(part["part"], quiet(part), PART_COLOURS[i % len(PART_COLOURS)]) for i, part in enumerate(own)]
    rest = quiet(whole) - sum(value for _, value, _ in pieces)
    return pieces + ([("not explained by a part", rest, REST)] if rest > 0 else [])


def _draw_parts(canvas: Canvas, whole: dict, own: list[dict]) -> None:
    """One bar of the whole, cut into its parts in proportion; on a linear scale, for parts add up."""
    pieces = _pieces(whole, own)
    total = sum(value for _, value, _ in pieces)
    room = WIDTH - 2 * MARGIN
    canvas.text(MARGIN, canvas.y + 12, f"{whole['part']}: {format_value(quiet(whole), 'ns')}", 13, weight="bold")
    canvas.y += 20
    x = float(MARGIN)
    for name, value, colour in pieces:
        canvas.bar(x, canvas.y, room * value / total - 1, colour, f"{name}: {value:.1f} ns", 22)
        x += room * value / total
    canvas.y += 26
    for index, (name, value, colour) in enumerate(pieces):
        column, line = MARGIN + (index % 2) * room / 2, canvas.y + (index // 2) * 17
        canvas.bar(column, line + 3, 10, colour, name, 10)
        canvas.text(column + 16, line + 12, f"{name}: {value:.1f} ns", 11)
    canvas.y += (len(pieces) + 1) // 2 * 17 + 4
    if total > quiet(whole):
        canvas.text(MARGIN, canvas.y + 10, f"The parts add up to {total:.1f} ns: run together they overlap.", 11, colour="#57606a")
        canvas.y += 16
    canvas.y += 14


def _draw_legend(canvas: Canvas, results: Results) -> None:
    ways = [way for way in (NATIVE, REMOTED) if any(f.has(way) for f in results.figures.values())]
    for index, way in enumerate(ways):
        canvas.bar(MARGIN + index * 90, canvas.y, 12, COLOURS[way], way, 12)
        canvas.text(MARGIN + index * 90 + 18, canvas.y + 10, way)
    canvas.y += 28 if ways else 0


def draw(results: Results) -> str:
    canvas = Canvas()
    canvas.text(MARGIN, canvas.y + 14, "What the path costs", 18, weight="bold")
    canvas.text(MARGIN, canvas.y + 34, describe(results.machine), 11, colour="#57606a")
    if any(figure.ratio() is not None for figure in results.figures.values()):
        canvas.text(MARGIN, canvas.y + 50, "A ratio above 1 is slower remoted, for rates too.", 11, colour="#57606a")
        canvas.y += 16
    canvas.y += 50
    _draw_legend(canvas, results)
    for theme, names in THEMES.items():
        figures = results.of_theme(names)
        if figures:
            _draw_theme(canvas, theme, figures)
    for whole, own in wholes(results.parts):
        _draw_parts(canvas, whole, own)
    return canvas.finish()
