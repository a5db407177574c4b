# SPDX-License-Identifier: Apache-2.0
"""Runs targets, some at a time, and reads what libFuzzer says about each."""
import concurrent.futures
import dataclasses
import os
import pathlib
import re
import subprocess
import threading
import time

from .targets import BUILD, ROOT, Target

FINDINGS = ROOT / "build" / "fuzz-findings"
LEDGER = ROOT / "build" / "fuzz-runs.tsv"
# One input may take this long. A client of ours waits no longer for its worker than a person for a window.
INPUT_SECONDS = 10
MEMORY_MB = 2048


@dataclasses.dataclass
class Outcome:
    target: Target
    seconds: float
    processor: float  # seconds of the processor's time: less than the others on a busy machine
    executions: int
    edges: int
    inputs: list  # that brought it down
    log: pathlib.Path
    failed: bool


def command(target: Target, seconds: int) -> list:
    options = [f"-max_total_time={seconds}", f"-timeout={INPUT_SECONDS}", f"-rss_limit_mb={MEMORY_MB}", f"-max_len={target.longest}",
               f"-artifact_prefix={FINDINGS}/{target.name}-", "-print_final_stats=1"]
    if target.dictionary.exists():
        options.append(f"-dict={target.dictionary}")
    return [BUILD / "bin" / target.name, *options, *target.corpora()]


def run_one(target: Target, seconds: int) -> Outcome:
    FINDINGS.mkdir(parents=True, exist_ok=True)
    before = set(FINDINGS.glob(f"{target.name}-*"))
    log = ROOT / "build" / "fuzz-logs" / f"{target.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    status, processor = run_measured(command(target, seconds), log, seconds + 120)
    took = time.monotonic() - begun
    text = log.read_text(errors="replace")
    inputs = sorted(set(FINDINGS.glob(f"{target.name}-*")) - before)
    outcome = Outcome(target, took, processor, executions_of(text), edges_of(text), inputs, log, status != 0)
    note(outcome)
    return outcome


def run_measured(arguments: list, log: pathlib.Path, limit: float) -> tuple:
    """Exit status and processor time. One that does not end by itself is killed."""
    with log.open("wb") as output:
        process = subprocess.Popen(arguments, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
        watchdog = threading.Timer(limit, process.kill)
        watchdog.start()
        _, status, usage = os.wait4(process.pid, 0)
        watchdog.cancel()
        process.returncode = status
    return status, usage.ru_utime + usage.ru_stime


def executions_of(log: str) -> int:
    stated = re.findall(r"stat::number_of_executed_units: (\d+)", log)
    counted = re.findall(r"(?m)^#(\d+)\s", log)
    return int((stated or counted or ["0"])[-1])


def edges_of(log: str) -> int:
    return int((re.findall(r"\bcov: (\d+)", log) or ["0"])[-1])


def note(outcome: Outcome) -> None:
    """A line for each run, so that a total can be told."""
    head = subprocess.run(["git", "-c", "safe.directory=*", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    with LEDGER.open("a") as ledger:
        ledger.write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}\t{head}\t{outcome.target.name}\t{outcome.seconds:.0f}\t{outcome.processor:.0f}\t"
                     f"{outcome.executions}\t{outcome.edges}\t{'finding' if outcome.failed else 'clean'}\n")


def run_all(targets: list, seconds: int, jobs: int, tell) -> list:
    """The same time for each target, `jobs` at once. A target stops at its first finding."""
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        runs = [pool.submit(run_one, target, seconds) for target in targets]
        outcomes = []
        for run in concurrent.futures.as_completed(runs):
            outcomes.append(run.result())
            tell(outcomes[-1])
    return sorted(outcomes, key=lambda outcome: targets.index(outcome.target))
