# SPDX-License-Identifier: Apache-2.0
"""Programs with NVIDIA's run-time libraries of older toolkits: what a guest of an older distribution has."""
import pathlib

from .context import NATIVE, REMOTED, Context, Result, Run, table

# version -> the library's name in the folder of that version, and whether it has to work
VERSIONS = {"11.8": ("libcudart.so.11.0", False), "12.4": ("libcudart.so.12", True)}


def verdicts(run: Run) -> dict[str, str]:
    """part -> "ok", or why it failed."""
    found = {}
    for line in run.out.splitlines():
        if line.startswith("ok "):
            found[line.removeprefix("ok ")] = "ok"
        elif line.startswith("FAILED "):
            part, _, why = line.removeprefix("FAILED ").partition(": ")
            found[part] = why
    return found


def run_version(context: Context, library: pathlib.Path, version: str, must_work: bool, result: Result) -> list[tuple]:
    """Rows of the table: part, and what came of it each way."""
    ways = context.ways("runtime_check")
    runs = {way: context.run(way, [context.layout.program("runtime_check"), library], version) for way in ways}
    found = {way: verdicts(run) for way, run in runs.items()}
    if not found[REMOTED]:
        result.lines.append(f"  {version}: {runs[REMOTED].complaint()}")
    for part in found.get(NATIVE, found[REMOTED]):
        why = found[REMOTED].get(part, runs[REMOTED].complaint())
        if why != "ok":
            result.lines.append(f"  {version} {part}, remoted: {why}")
        if why != "ok" and found.get(NATIVE, {}).get(part, "ok") == "ok" and must_work:
            result.passed = False
    if must_work and not found[REMOTED]:
        result.passed = False
    rows = []
    for part in dict.fromkeys(part for way in ways for part in found[way]):
        cells = ["ok" if found.get(way, {}).get(part) == "ok" else "-" if way not in ways else "FAILED" for way in (NATIVE, REMOTED)]
        rows.append((version, part, *cells))
    return rows


def run_demo(context: Context, program: pathlib.Path, version: str, must_work: bool, result: Result) -> tuple:
    """The demo as nvcc of that version built it."""
    cells = {NATIVE: "-"}
    for way in context.ways("runtime_check"):
        run = context.run(way, [program], f"{version}-demo")
        cells[way] = "ok" if run.ok else "FAILED"
        if not run.ok:
            result.lines.append(f"  {version} demo, {way}: {run.complaint()}")
    if must_work and cells[REMOTED] != "ok" and cells[NATIVE] != "FAILED":
        result.passed = False
    return (version, "demo, built with nvcc", cells[NATIVE], cells[REMOTED])


def run_runtimes(context: Context, folders: list[pathlib.Path]) -> Result:
    """folders: where scripts/fetch-cuda-runtimes may have put the libraries; the first that exists counts."""
    folder = next((folder for folder in folders if folder.is_dir()), None)
    if folder is None:
        return Result(skipped="the libraries are not there: scripts/fetch-cuda-runtimes gets them, scripts/bundle --runtimes packs them")
    result, rows = Result(), []
    for version, (name, must_work) in VERSIONS.items():
        if (folder / version / name).exists():
            rows += run_version(context, folder / version / name, version, must_work, result)
        else:
            result.fail(f"{folder / version / name} is missing")
        if (folder / version / "demo").exists():
            rows.append(run_demo(context, folder / version / "demo", version, must_work, result))
    result.lines = table(rows, ("version", "part", NATIVE, REMOTED)) + result.lines
    right = {version: sum(row[0] == version and row[3] == "ok" for row in rows) for version in VERSIONS}
    result.summary = ", ".join(f"{version}: {count} of {sum(row[0] == version for row in rows)} parts right remoted" for version, count in right.items())
    return result
