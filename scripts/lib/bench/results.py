# SPDX-License-Identifier: Apache-2.0
"""What was measured, put together: figures of several runs, native and remoted, and the machine they come from."""
import json
import os
import pathlib
from dataclasses import dataclass, field
from statistics import median

NATIVE, REMOTED = "native", "remoted"


def slowdown(better: str, native: float, remoted: float) -> float | None:
    """More than 1 is slower remoted, for times and for rates alike; None where there is nothing to divide by."""
    above, below = (native, remoted) if better == "more" else (remoted, native)
    return above / below if below else None


@dataclass
class Figure:
    """One figure under one condition, from all runs of both ways."""

    name: str
    unit: str
    better: str
    threads: int
    clients: int
    runs: dict[str, list[dict]] = field(default_factory=lambda: {NATIVE: [], REMOTED: []})

    def has(self, way: str) -> bool:
        return bool(self.runs[way])

    def median(self, way: str) -> float:
        return median(run["median"] for run in self.runs[way])

    def p99(self, way: str) -> float:
        return median(run["p99"] for run in self.runs[way])

    def spread(self, way: str) -> tuple[float, float]:
        """The least and the greatest of all repetitions' medians."""
        each = [value for run in self.runs[way] for value in run["repetitions"]]
        return min(each), max(each)

    def is_rate(self) -> bool:
        return self.better == "more"

    def ratio(self) -> float | None:
        if not (self.has(NATIVE) and self.has(REMOTED)):
            return None
        return slowdown(self.better, self.median(NATIVE), self.median(REMOTED))

    def ratios_of_pairs(self) -> list[float]:
        pairs = zip(self.runs[NATIVE], self.runs[REMOTED])
        ratios = (slowdown(self.better, n["median"], r["median"]) for n, r in pairs)
        return [ratio for ratio in ratios if ratio is not None]

    def as_json(self) -> dict:
        out = {"figure": self.name, "unit": self.unit, "better": self.better, "threads": self.threads, "clients": self.clients}
        for way in (NATIVE, REMOTED):
            if self.has(way):
                least, most = self.spread(way)
                out[way] = {"median": self.median(way), "least": least, "most": most, "runs": len(self.runs[way])}
                if not self.is_rate():
                    out[way]["p99"] = self.p99(way)
                    out[way]["samples"] = sum(run["samples"] for run in self.runs[way])
        if self.ratio() is not None:
            each = self.ratios_of_pairs()
            out["ratio"] = {"of_medians": self.ratio(), "least": min(each), "most": max(each)}
        return out


class Results:
    def __init__(self, machine: dict):
        self.machine = machine
        self.figures: dict[tuple, Figure] = {}
        self.parts: list[dict] = []
        self.notes: list[str] = []

    def add(self, way: str, lines: list[dict]) -> None:
        for line in lines:
            if "device" in line:
                self.machine.setdefault("device", line["device"])
                self.machine.setdefault("driver_version", int(line["driver_version"]))
            if "figure" not in line:
                continue
            key = (line["figure"], int(line["threads"]), int(line["clients"]))
            figure = self.figures.setdefault(key, Figure(line["figure"], line["unit"], line["better"], key[1], key[2]))
            figure.runs[way].append(line)

    def of_theme(self, names: tuple[str, ...]) -> list[Figure]:
        """In the themes' order, then by threads and clients."""
        found = [figure for figure in self.figures.values() if figure.name in names]
        return sorted(found, key=lambda f: (names.index(f.name), f.clients, f.threads))

    def as_json(self) -> str:
        out = {"machine": self.machine, "notes": self.notes, "figures": [f.as_json() for f in self.figures.values()], "parts": self.parts}
        return json.dumps(out, indent=1) + "\n"


def quiet(part: dict) -> float:
    """The median of the repetition that was disturbed least: parts add up only where nothing else ran."""
    return min(part["repetitions"])


def wholes(parts: list[dict]) -> list[tuple[dict, list[dict]]]:
    """Each measured whole with the parts that should add up to it."""
    return [(line, [p for p in parts if p["role"] == "part" and p["of"] == line["of"]]) for line in parts if line["role"] == "whole"]


def singles(parts: list[dict]) -> list[dict]:
    """What is neither a whole nor a part of one that was measured."""
    measured = {whole["of"] for whole, _ in wholes(parts)}
    return [line for line in parts if line["role"] != "whole" and (line["role"] == "single" or line["of"] not in measured)]


def describe_machine(driver: str, is_real: bool) -> dict:
    model = "unknown"
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), model)
    except OSError:
        pass
    return {"processors": len(os.sched_getaffinity(0)), "processor": model, "driver": driver, "gpu": "real" if is_real else "software"}
