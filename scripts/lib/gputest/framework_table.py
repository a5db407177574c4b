# SPDX-License-Identifier: Apache-2.0
"""What two runs of the same program say of each other, and the tables of it."""
import math
from collections import Counter
from dataclasses import dataclass

from .context import NATIVE, REMOTED, table

SAME, CLOSE, UNSTEADY = "same", "close", "unsteady natively"
DIFFERS, ONLY_NATIVE, NOT_REACHED = "DIFFERS", "ONLY NATIVE", "NOT REACHED"
ONLY_REMOTED, FAILS_BOTH, MISSING = "only remoted", "fails both", "missing"
BAD = {DIFFERS, ONLY_NATIVE, NOT_REACHED}
# Two native runs that differ in their bits may differ by this much from a remoted one.
UNSTEADY_RTOL, UNSTEADY_ATOL = 1e-2, 1e-4

MOST_NOTE = 700  # characters of one


@dataclass
class Row:
    framework: str
    program: str
    word: str
    note: str = ""
    native: float = 0.0  # seconds
    remoted: float = 0.0

    @property
    def ratio(self) -> float | None:
        return self.remoted / self.native if self.native and self.remoted else None


def is_near(a, b, rtol: float, atol: float) -> bool:
    if isinstance(a, str) or isinstance(b, str):  # inf and nan
        return a == b
    return math.isclose(a, b, rel_tol=rtol, abs_tol=atol)


def compare_result(native: dict, remoted: dict, steady: bool) -> str:
    """Of one named result."""
    if "told" in native or native == remoted:
        return SAME
    if "sha256" in native and native["sha256"] == remoted.get("sha256"):
        return SAME
    if "values" in native and "values" in remoted and native.get("shape") == remoted.get("shape") and (not steady or "rtol" in native):
        rtol, atol = native.get("rtol", UNSTEADY_RTOL), native.get("atol", UNSTEADY_ATOL)
        if all(is_near(a, b, rtol, atol) for a, b in zip(native["values"], remoted["values"], strict=True)):
            return CLOSE
    return DIFFERS if steady else UNSTEADY


def apart(native: dict, remoted: dict) -> str:
    """How two results differ, for the reader."""
    if "exact" in native:
        return f"native {str(native['exact'])[:400]} remoted {str(remoted.get('exact'))[:400]}"
    if native.get("shape") != remoted.get("shape"):
        return f"shape {native.get('shape')} and {remoted.get('shape')}"
    pairs = [(a, b) for a, b in zip(native["values"], remoted["values"]) if a != b]
    return f"{len(pairs)} of {len(native['values'])} values looked at differ, as {pairs[0]}" if pairs else "in other values than those looked at"


def compare_programs(native: dict, remoted: dict) -> tuple[str, str]:
    """Records of the same program -> a word, and a note."""
    if native["status"] == "skipped":
        return MISSING, native["error"]
    if native["status"] == "failed" and native["error"].startswith("not reached"):
        return NOT_REACHED, f"natively: {native['error']}"
    if native["status"] == "failed":
        if remoted["status"] != "failed":
            return ONLY_REMOTED, f"native: {native['error']}"
        alike = native["error"] == remoted["error"]
        return FAILS_BOTH, native["error"] if alike else f"native: {native['error']} | remoted: {remoted['error']}"
    if remoted["status"] != "ok":
        return (NOT_REACHED if remoted["error"].startswith("not reached") else ONLY_NATIVE), remoted["error"]
    steady, notes, words = native["steady"], [], set()
    for name, value in native["results"].items():
        other = remoted["results"].get(name, {})
        words.add(word := compare_result(value, other, steady))
        if word not in (SAME, CLOSE):
            notes.append(f"{name}: {apart(value, other)}")
        if "told" in value:
            notes.append(f"{name}: native {value['told']}, remoted {other.get('told')}")
    return next(word for word in (DIFFERS, UNSTEADY, CLOSE, SAME) if word in words), "; ".join(notes)


def row_of(framework: str, program: str, native: dict, remoted: dict) -> Row:
    word, note = compare_programs(native, remoted)
    which = "warm" if "warm" in native and "warm" in remoted else "cold"
    return Row(framework, program, word, note, native.get(which, 0.0), remoted.get(which, 0.0))


def family(program: str) -> str:
    """Cases of one operator share a line of the table."""
    return ".".join(program.split(".")[:2]) + ".*" if program.startswith("case.") else program


def counted(rows: list[Row]) -> str:
    words = Counter(row.word for row in rows)
    return next(iter(words)) if len(rows) == 1 else ", ".join(f"{count} {word}" for word, count in words.most_common())


def ratio_of(rows: list[Row]) -> str:
    both = [row for row in rows if row.ratio is not None]
    return f"{sum(r.remoted for r in both) / sum(r.native for r in both):.2f}" if both else "-"


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.1f}" if seconds else "-"


def program_table(rows: list[Row]) -> list[str]:
    lines: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        lines.setdefault((row.framework, family(row.program)), []).append(row)
    return table([(framework, name, counted(of), ratio_of(of)) for (framework, name), of in lines.items()], ("framework", "program", "result", "ratio"))


def notes(rows: list[Row]) -> list[str]:
    """What there is to say of programs; the same of several cases of an operator is said once."""
    said: dict[tuple[str, str, str, str], list[Row]] = {}
    for row in rows:
        if row.note:
            said.setdefault((row.framework, family(row.program), row.word, row.note[:80]), []).append(row)
    lines = []
    for (framework, _, word, _), of in said.items():
        more = f" and {len(of) - 1} more" if len(of) > 1 else ""
        lines.append(f"  {framework} {of[0].program}{more}: {word}: {of[0].note[:MOST_NOTE]}")
    return lines


def total_table(rows: list[Row], imports: dict[str, dict[str, float]]) -> list[str]:
    cells = []
    for framework in dict.fromkeys(row.framework for row in rows):
        of = [row for row in rows if row.framework == framework]
        words = Counter(row.word for row in of)
        other = ", ".join(f"{n} {word}" for word, n in words.items() if word not in (SAME, CLOSE))
        load = imports.get(framework, {})
        loading = f"{load[NATIVE]:.1f} / {load[REMOTED]:.1f}" if len(load) == 2 else "-"
        cells.append((framework, len(of), words[SAME], words[CLOSE], other or "-", ratio_of(of), loading))
    return table(cells, ("framework", "programs", "same", "close", "other", "time ratio", "import s"))


def as_tsv(rows: list[Row]) -> str:
    lines = ["framework\tprogram\tresult\tnative_ms\tremoted_ms\tnote"]
    lines += ["\t".join([r.framework, r.program, r.word, milliseconds(r.native), milliseconds(r.remoted), r.note]) for r in rows]
    return "\n".join(lines) + "\n"
