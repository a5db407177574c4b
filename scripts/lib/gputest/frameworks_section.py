# SPDX-License-Identifier: Apache-2.0
"""Every framework's programs natively and remoted: which results are the same, and what it costs.

The programs are in tests/gpu/frameworks. A group of them shares a process, natively and remoted one after the other, in an
order that alternates from group to group; several groups run side by side, so a time ratio is a rough one.
"""
import fnmatch
import json
import os
import pathlib
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

from .context import NATIVE, REMOTED, Context, OutOfTime, Result
from .framework_runs import RUNNER, Group, GroupRun, Outcome
from .framework_table import BAD, FAILS_BOTH, MISSING, NOT_REACHED, ONLY_NATIVE, Row, as_tsv, notes, program_table, row_of, total_table

# framework -> its modules, the slowest first
MODULES = {"PyTorch": ("torch_alone", "models", "torch_cases", "torch_programs"), "JAX": ("jax_programs",), "CuPy": ("cupy_programs",),
           "Triton": ("triton_programs",), "Numba": ("numba_programs",), "NCCL": ("nccl_programs",), "NVML": ("nvml_programs",)}
# group -> the most seconds that one of its programs may take, where compilers run
SLOW = {"extension": 180, "compile": 120, "compile_graphs": 120, "process_each": 110, "nvcc": 110, "shared": 90}
# What makes two runs of a framework compute the same bits, and keeps them off what GPUs share.
SETTINGS = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8", "XLA_FLAGS": "--xla_gpu_deterministic_ops=true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
            "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "4", "MAX_JOBS": "4", "TORCHINDUCTOR_COMPILE_THREADS": "4", "TF_CPP_MIN_LOG_LEVEL": "2"}
# Each way has its own, so that both compile.
CACHES = ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR", "CUPY_CACHE_DIR", "CUDA_CACHE_PATH", "NUMBA_CACHE_DIR", "TORCH_EXTENSIONS_DIR")
# Kept of the section's time for the report.
REPORT_SECONDS = 5


def listed_groups(folder: pathlib.Path, glob: str) -> list[Group]:
    """Those with a program that the glob, of PROGRAM or FRAMEWORK/PROGRAM, may mean; those with compilers first."""
    modules = [module for of in MODULES.values() for module in of]
    listed = subprocess.run(["python3", folder / RUNNER, *modules, "--list"], capture_output=True, text=True, timeout=60, check=True).stdout
    groups = []
    for framework, of in MODULES.items():
        for module in of:
            for name, programs in json.loads(listed)[module].items():
                if any(is_meant(framework, program, glob) for program in programs):
                    groups.append(Group(framework, module, name, SLOW.get(name, 60)))
    return sorted(groups, key=lambda group: -group.program_seconds)


def is_meant(framework: str, program: str, glob: str) -> bool:
    owner, slash, rest = glob.rpartition("/")
    if slash and not fnmatch.fnmatch(framework.lower(), owner.lower()):
        return False
    # "*" is a group whose cases are known only once it runs.
    return fnmatch.fnmatch(program, rest) or (program == "*" and rest.startswith("case."))


class FrameworkRuns:
    """All groups, several at a time."""

    def __init__(self, context: Context, folder: pathlib.Path, caches: pathlib.Path, glob: str):
        self._context, self._folder, self._caches, self._glob = context, folder, caches, glob
        self._begun = time.monotonic()

    def run(self, groups: list[Group], jobs: int) -> list[tuple[Group, dict[str, Outcome]]]:
        with ThreadPoolExecutor(jobs) as lanes:
            return list(zip(groups, lanes.map(self._run_both_ways, groups, range(len(groups)))))

    def _run_both_ways(self, group: Group, number: int) -> dict[str, Outcome]:
        ways = (NATIVE, REMOTED) if number % 2 == 0 else (REMOTED, NATIVE)
        outcomes = {way: self._run_group(group, way) for way in ways}
        words = ", ".join(f"{way} {sum(r['status'] == 'ok' for r in o.records.values())} ok" for way, o in outcomes.items())
        print(f"[{time.monotonic() - self._begun:4.0f} s] {group.framework} {group.title}: {words}", flush=True)
        return outcomes

    def _run_group(self, group: Group, way: str) -> Outcome:
        settings = SETTINGS | {name: str(self._caches / way / name.lower()) for name in CACHES}
        run = GroupRun(self._context, self._folder, group, way, settings, self._glob.rpartition("/")[2])
        try:
            if self._context.time_left() > REPORT_SECONDS:
                return run.run()
        except OutOfTime:
            pass
        run.outcome.missing = run.outcome.missing or ("" if run.outcome.records else "not reached: the section's time was used up")
        return run.outcome


def rows_of(group: Group, outcomes: dict[str, Outcome]) -> list[Row]:
    native, remoted = outcomes[NATIVE], outcomes[REMOTED]
    if native.missing or remoted.missing:
        missing = native.missing or remoted.missing
        word = NOT_REACHED if missing.startswith("not reached") else MISSING if native.missing else ONLY_NATIVE
        return [Row(group.framework, f"({group.title})", word, missing)]
    rows = []
    for name in dict.fromkeys([*native.records, *remoted.records]):
        absent = {"program": name, "status": "failed", "error": "not reached"}
        if name not in native.records:
            rows.append(Row(group.framework, name, NOT_REACHED, "natively"))
        else:
            rows.append(row_of(group.framework, name, native.records[name], remoted.records.get(name, absent)))
    if remoted.ending:
        rows.append(Row(group.framework, f"(end of {group.title})", FAILS_BOTH if native.ending else ONLY_NATIVE, remoted.ending))
    return rows


def import_times(runs: list[tuple[Group, dict[str, Outcome]]]) -> dict[str, dict[str, float]]:
    """framework -> way -> seconds, of the quickest import."""
    times: dict[str, dict[str, float]] = {}
    for group, outcomes in runs:
        for way, outcome in outcomes.items():
            if outcome.import_seconds:
                of = times.setdefault(group.framework, {})
                of[way] = min(of.get(way, outcome.import_seconds), outcome.import_seconds)
    return times


def run_frameworks(context: Context, folder: pathlib.Path, glob: str, jobs: int | None) -> Result:
    """folder: tests/gpu/frameworks."""
    groups = listed_groups(folder, glob)
    if not groups:
        return Result(skipped=f"no program is meant by {glob}")
    with tempfile.TemporaryDirectory(prefix="vgpu-caches-", ignore_cleanup_errors=True) as caches:
        runs = FrameworkRuns(context, folder, pathlib.Path(caches), glob).run(groups, jobs or max(2, min(6, (os.cpu_count() or 2) // 2)))
    order = list(MODULES)
    rows = sorted((row for group, outcomes in runs for row in rows_of(group, outcomes)), key=lambda row: order.index(row.framework))
    (context.out / "frameworks.tsv").write_text(as_tsv(rows))
    result = Result(passed=not any(row.word in BAD for row in rows), lines=program_table(rows))
    result.lines += ["", *notes(rows)]
    result.lines += ["", *total_table(rows, import_times(runs))]
    bad, useless = sum(row.word in BAD for row in rows), sum(row.word == FAILS_BOTH for row in rows)
    result.summary = f"{len(rows)} programs of {len({row.framework for row in rows})} frameworks: {bad} not as natively, {useless} fail natively too; frameworks.tsv"
    return result
