#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""run_programs.py MODULE... --list
run_programs.py MODULE --group GROUP --out FILE [--programs GLOB] [--without NAME,...] [--limit SECONDS]

Runs the programs of one group of a module beside this file, in one process. Appends to FILE a line of JSON before and
after each program, so that whoever reads it knows what a process was at when it died. A program that takes longer than
the limit ends the process, with every thread's stack on standard error. --list: the groups of the modules, as JSON,
without importing a framework.

Exit status: 0 all were run, whatever came of them; 3 a program left the process unusable, the rest was not run;
1 a program hung; 64 wrong usage.
"""
import argparse
import ast
import faulthandler
import fnmatch
import importlib
import json
import os
import pathlib
import sys
import time
import traceback

FOLDER = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER))
sys.dont_write_bytecode = True

import harness  # noqa: E402
import stacks  # noqa: E402

POISONED = 3
# A warm program is repeated for this long, and the quickest run counts.
WARM_SECONDS, WARM_RUNS = 0.3, 5
EXIT_SECONDS = 20


def literals(module: str) -> dict:
    """REQUIRES, ENVIRONMENT and the groups of a module, from its text alone."""
    tree = ast.parse((FOLDER / f"{module}.py").read_text())
    found = {"REQUIRES": (), "ENVIRONMENT": {}, "groups": {}}
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in found:
            found[node.targets[0].id] = ast.literal_eval(node.value)
        for decorator in getattr(node, "decorator_list", []):
            if isinstance(decorator, ast.Call) and getattr(decorator.func, "id", "") in ("program", "cases"):
                name = "*" if decorator.func.id == "cases" else node.name
                found["groups"].setdefault(decorator.args[0].value, []).append(name)
    return found


class Recorder:
    def __init__(self, path: pathlib.Path):
        self._file = path.open("a")

    def write(self, **record) -> None:
        self._file.write(json.dumps(record) + "\n")
        self._file.flush()


def sentence(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:600]}"


def run_once(program: harness.Program, before_each) -> tuple[dict, float]:
    """The results come to the host within the time, unless the program measures a part of itself."""
    before_each()
    harness.take_measured()
    begun = time.monotonic()
    results = harness.described(program.body())
    whole = time.monotonic() - begun
    return results, harness.take_measured() or whole


def run_warm(program: harness.Program, before_each, first: dict) -> tuple[float, bool]:
    """Seconds of the quickest of several runs, and whether all computed what the first one did."""
    best, steady, begun = float("inf"), True, time.monotonic()
    for _ in range(WARM_RUNS):
        results, seconds = run_once(program, before_each)
        best, steady = min(best, seconds), steady and results == first
        if time.monotonic() - begun > WARM_SECONDS:
            break
    return best, steady


def run_program(program: harness.Program, before_each) -> dict:
    record = {"program": program.name, "status": "ok", "steady": True}
    try:
        record["results"], record["cold"] = run_once(program, before_each)
        if program.repeats:
            record["warm"], record["steady"] = run_warm(program, before_each, record["results"])
    except harness.Skip as reason:
        record |= {"status": "skipped", "error": str(reason)}
    except Exception as error:  # noqa: BLE001: whatever a framework raises is a result
        traceback.print_exc()
        record |= {"status": "failed", "error": sentence(error)}
    return record


def is_usable(healthy) -> bool:
    try:
        healthy()
        return True
    except Exception:  # noqa: BLE001
        return False


def run_group(module, chosen: list[harness.Program], recorder: Recorder, limit: float) -> int:
    before_each = getattr(module, "before_each", lambda: None)
    healthy = getattr(module, "healthy", lambda: None)
    for program in chosen:
        recorder.write(begin=program.name)
        faulthandler.dump_traceback_later(limit, exit=True)
        record = run_program(program, before_each)
        recorder.write(**record)
        if record["status"] == "failed" and not is_usable(healthy):
            return POISONED
        faulthandler.cancel_dump_traceback_later()
    return 0


def imported(name: str, facts: dict, recorder: Recorder, limit: float):
    """The module; None if the framework is missing, which is then recorded."""
    faulthandler.dump_traceback_later(limit, exit=True)
    try:
        begun = time.monotonic()
        for library in facts["REQUIRES"]:
            importlib.import_module(library)
        module = importlib.import_module(name)
        recorder.write(imported=time.monotonic() - begun)
        return module
    except Exception as error:  # noqa: BLE001: a framework may fail in any way when there is no GPU for it
        traceback.print_exc()
        recorder.write(missing=sentence(error))
        return None
    finally:
        faulthandler.cancel_dump_traceback_later()


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("modules", nargs="+")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--group")
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--programs", default="*")
    parser.add_argument("--without", default="")
    parser.add_argument("--limit", type=float, default=60)
    try:
        options = parser.parse_args()
        if not options.list and not (options.group and options.out and len(options.modules) == 1):
            parser.error("one module, --group and --out")
    except SystemExit as wrong:
        raise SystemExit(64 if wrong.code else 0) from None
    return options


def main() -> int:
    faulthandler.enable()
    options = parse_arguments()
    if options.list:
        print(json.dumps({module: literals(module)["groups"] for module in options.modules}))
        return 0
    watcher, name = stacks.Watcher(), options.modules[0]
    facts, recorder = literals(name), Recorder(options.out)
    os.environ.update(facts["ENVIRONMENT"].get(options.group, {}))
    module = imported(name, facts, recorder, options.limit)
    if module is None:
        return 0
    without = options.without.split(",")
    chosen = [p for p in harness.PROGRAMS if p.group == options.group and p.name not in without and fnmatch.fnmatch(p.name, options.programs)]
    recorder.write(planned=[p.name for p in chosen])
    status = run_group(module, chosen, recorder, options.limit)
    if status == 0:
        recorder.write(ended=True)
    # What a framework does as its process ends may hang, too.
    watcher.expect_end_within(EXIT_SECONDS - 5)
    faulthandler.dump_traceback_later(EXIT_SECONDS, exit=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
