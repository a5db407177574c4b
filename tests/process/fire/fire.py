#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""NAME
    fire.py - kill, stop and starve each process in each stage, and see that everybody else goes on

SYNOPSIS
    tests/process/fire/fire.py --build DIRECTORY [--driver sim|nvidia|auto] [--only REGEX] [--third] [--kinds KIND,...]
                               [--jobs N] [--repeat N] [--seconds N] [--json FILE] [--keep DIRECTORY] [--list]

DESCRIPTION
    One cell for each role (client, worker, broker), stage of the client (idle, in a call, waiting for a stream, in a
    large copy, in a capture, in allocations, in a host function, in its hello, just ended) and kind: SIGKILL; SIGSTOP,
    later SIGCONT; no further descriptor; no further memory. Each cell has a broker of its own, and a neighbour: a
    client whose results must be right all the time. Afterwards nothing may be left: processes, sockets, shared memory,
    accounts of the broker.

    The table at the end says how long recovery took: from the injection, or from its end, to the client's error or
    verdict, to cleared accounts, or to a broker that serves and has taken back its clients. More than a second is
    marked with "!"; it does not fail.

OPTIONS
    --build DIRECTORY   a build tree or an unpacked bundle: what holds bin/ and lib/
    --driver WHICH      what the workers open (default: sim, the software GPU)
    --only REGEX        cells whose name (ROLE.STAGE.KIND) has a match
    --third             a third of the cells that has every role, stage and kind
    --kinds KIND,...    of kill, stop, files, memory
    --jobs N            cells at once (default 2)
    --repeat N          each cell so often; the table shows its worst
    --seconds N         a cell's time limit (default 30)
    --json FILE         results as JSON
    --keep DIRECTORY    where what everybody said is left for the cells that fail (default: on standard output only)
    --list              print the cells' names and stop

EXIT STATUS
    0 every cell is as it should be; 1 not, and the report says why; 64 wrong usage.
"""
import argparse
import ctypes
import json
import pathlib
import re
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import NamedTuple

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "scripts" / "lib"))

from cells import EXTRAS, KINDS, ROLES, STAGES, Cell, select  # noqa: E402
from conduct import conduct  # noqa: E402
from harness.layout import Layout  # noqa: E402
from harness.private_broker import BrokerFailed  # noqa: E402
from scene import Scene, Settings  # noqa: E402
from talker import CellFailed  # noqa: E402

AIM_SECONDS = 1.0
PR_SET_CHILD_SUBREAPER = 36
BEGUN = time.monotonic()


class Outcome(NamedTuple):
    cell: Cell
    seconds: float  # of the whole cell
    recovery: float | None
    until: str
    failure: str
    evidence: str

    @property
    def is_slow(self) -> bool:
        return self.recovery is not None and self.recovery > AIM_SECONDS


def run_cell(cell: Cell, settings: Settings) -> Outcome:
    begun = time.monotonic()
    recovery, until, failure, evidence = None, "", "", ""
    scene = Scene(cell, settings)
    try:
        recovery, until = conduct(scene)
    except (CellFailed, BrokerFailed) as error:
        failure = str(error)
    except Exception:  # a defect of the test is a failed cell, not the end of the run
        failure = traceback.format_exc()
    if failure:
        evidence = scene.evidence()
    scene.destroy()
    return Outcome(cell, time.monotonic() - begun, recovery, until, failure, evidence)


def run_all(cells: list[Cell], settings: Settings, jobs: int) -> list[Outcome]:
    outcomes = []
    lock = threading.Lock()
    with ThreadPoolExecutor(jobs) as pool:
        for done in as_completed([pool.submit(run_cell, cell, settings) for cell in cells]):
            outcome = done.result()
            outcomes.append(outcome)
            verdict = f"FAILED: {outcome.failure}" if outcome.failure else f"{outcome.recovery:.3f} s to {outcome.until}"
            with lock:
                print(f"[{time.monotonic() - BEGUN:6.1f} s] {outcome.cell.name:24} {outcome.seconds:5.1f} s  {verdict}", flush=True)
    return sorted(outcomes, key=lambda o: cells.index(o.cell))


# ---- report -----------------------------------------------------------------------------------------------------


def entry(outcome: Outcome | None) -> str:
    if outcome is None:
        return "-"
    return "FAIL" if outcome.failure else f"{outcome.recovery:.3f}{'!' if outcome.is_slow else ''}"


def print_table(outcomes: list[Outcome]) -> None:
    # Of repetitions the worst is shown: the last to be put in.
    by_cell = {o.cell: o for o in sorted(outcomes, key=lambda o: (bool(o.failure), o.recovery or 0.0))}
    print(f"\nseconds to recovery{'':5}" + "".join(f"{kind:>10}" for kind in KINDS))
    for role in ROLES:
        for stage in STAGES:
            row = [entry(by_cell.get(Cell(role, stage, kind))) for kind in KINDS]
            if set(row) != {"-"}:
                print(f"{role + '.' + stage:24}" + "".join(f"{text:>10}" for text in row))
    for cell in EXTRAS:
        if cell in by_cell:
            print(f"{cell.name:24}{entry(by_cell[cell]):>10}")


def print_report(outcomes: list[Outcome]) -> None:
    print_table(outcomes)
    failed = [o for o in outcomes if o.failure]
    measured = [o for o in outcomes if o.recovery is not None and not o.failure]
    if measured:
        slowest = max(measured, key=lambda o: o.recovery)
        slow = sum(o.is_slow for o in measured)
        print(f"slowest: {slowest.cell.name}, {slowest.recovery:.3f} s to {slowest.until}; {slow} of {len(measured)} above the aim of {AIM_SECONDS:g} s")
    for outcome in failed:
        print(f"\n{outcome.cell.name}: {outcome.failure}\n{outcome.evidence}")
    print(f"\nfire: {len(outcomes) - len(failed)} passed, {len(failed)} failed, {time.monotonic() - BEGUN:.0f} s")


def keep(outcomes: list[Outcome], options: argparse.Namespace) -> None:
    if options.json:
        rows = [{"cell": o.cell.name, **{k: v for k, v in o._asdict().items() if k != "cell"}} for o in outcomes]
        options.json.write_text(json.dumps(rows, indent=1) + "\n")
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
        for outcome in outcomes:
            if outcome.failure:
                (options.keep / f"{outcome.cell.name}.txt").write_text(f"{outcome.failure}\n{outcome.evidence}\n")


# ---- command line -----------------------------------------------------------------------------------------------


def parse_arguments() -> argparse.Namespace:
    if {"--help", "-h"} & set(sys.argv[1:]):
        print(__doc__.strip())
        raise SystemExit(0)
    parser = argparse.ArgumentParser(usage="fire.py --build DIRECTORY [options]; see --help", add_help=False)
    parser.add_argument("--build", type=pathlib.Path)
    parser.add_argument("--driver", default="sim")
    parser.add_argument("--only", default="")
    parser.add_argument("--third", action="store_true")
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--keep", type=pathlib.Path)
    parser.add_argument("--list", action="store_true")
    try:
        options = parser.parse_args()
        options.kinds = set(options.kinds.split(","))
        if options.kinds - set(KINDS):
            parser.error(f"no kind {min(options.kinds - set(KINDS))}; there are: {', '.join(KINDS)}")
        re.compile(options.only)
        if not options.build and not options.list:
            parser.error("--build says where the programs are")
    except re.error as error:
        print(f"fire.py: --only {options.only}: {error}", file=sys.stderr)
        raise SystemExit(64) from None
    except SystemExit:
        raise SystemExit(64) from None
    return options


def main() -> int:
    options = parse_arguments()
    cells = select(options.third, options.kinds, options.only)
    if options.list or not cells:
        print("\n".join(cell.name for cell in cells) or "no such cell")
        return 0 if cells else 64
    # A worker whose broker is killed becomes a child of this process, which can then bury it.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    settings = Settings(Layout(options.build.resolve()), options.driver, options.seconds)
    outcomes = run_all(cells * options.repeat, settings, options.jobs)
    keep(outcomes, options)
    print_report(outcomes)
    return 1 if any(o.failure for o in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
