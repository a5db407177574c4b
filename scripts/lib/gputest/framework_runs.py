# SPDX-License-Identifier: Apache-2.0
"""The programs of one group of a framework, run one way: what came of each, also if a process dies in the midst."""
import json
import pathlib
from dataclasses import dataclass, field

from .context import Context, Run

RUNNER = "run_programs.py"
# A process that hangs, crashes or is left unusable is replaced this often; what is left then was not reached.
MOST_PROCESSES = 8


@dataclass(frozen=True)
class Group:
    """Programs that share a process."""

    framework: str
    module: str
    name: str
    program_seconds: float = 60  # the most that one program may take
    seconds: float = 240  # the most that all of them may

    @property
    def title(self) -> str:
        return f"{self.module}-{self.name}"


@dataclass
class Outcome:
    """Of one group, one way."""

    records: dict[str, dict] = field(default_factory=dict)  # program -> its record, as the runner wrote it
    missing: str = ""  # why the framework does not import
    import_seconds: float = 0.0
    ending: str = ""  # what was wrong with the end of a process that had run all of its programs


def read_lines(path: pathlib.Path) -> list[dict]:
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]  # the last may be cut


class GroupRun:
    """One group run one way, by as many processes as it takes."""

    def __init__(self, context: Context, folder: pathlib.Path, group: Group, way: str, settings: dict[str, str], glob: str):
        """folder: where the runner and the modules are."""
        self._context, self._folder, self._group, self._way = context, folder, group, way
        self._settings, self._glob = settings, glob
        self._planned: list[str] = []
        self.outcome = Outcome()

    def run(self) -> Outcome:
        for attempt in range(MOST_PROCESSES):
            lines, run = self._run_process(attempt)
            self._read(lines)
            ended = any("ended" in line for line in lines)
            if ended and not run.ok:
                self.outcome.ending = run.complaint()
            if self.outcome.missing or ended:
                break
            if not any("planned" in line for line in lines):
                self.outcome.missing = f"its import did not end well: {run.complaint()}"
                break
            self._blame(lines, run)
        for name in self._planned:
            self.outcome.records.setdefault(name, {"program": name, "status": "failed", "error": "not reached: its group's processes died too often"})
        return self.outcome

    def _run_process(self, attempt: int) -> tuple[list[dict], Run]:
        group = self._group
        path = self._context.out / f"{self._context.section}-{group.title}.{self._way}.{attempt}.jsonl"
        path.unlink(missing_ok=True)
        command = ["python3", self._folder / RUNNER, group.module, "--group", group.name, "--out", path, "--programs", self._glob]
        command += ["--without", ",".join(self.outcome.records), "--limit", group.program_seconds]
        run = self._context.run(self._way, command, f"{group.title}.{attempt}", self._settings, group.seconds)
        return read_lines(path), run

    def _read(self, lines: list[dict]) -> None:
        for line in lines:
            if "program" in line:
                self.outcome.records[line["program"]] = line
            elif "planned" in line and not self._planned:
                self._planned = line["planned"]
            self.outcome.missing = line.get("missing", self.outcome.missing)
            self.outcome.import_seconds = self.outcome.import_seconds or line.get("imported", 0.0)

    def _blame(self, lines: list[dict], run: Run) -> None:
        """The program that was begun last and left no record took the process with it."""
        begun = [line["begin"] for line in lines if "begin" in line]
        if begun and begun[-1] not in self.outcome.records:
            hung = run.status is None or "Timeout" in run.err
            error = "hung: its stack is in the log" if hung else f"its process died: {run.complaint()}"
            self.outcome.records[begun[-1]] = {"program": begun[-1], "status": "failed", "error": error}
