# SPDX-License-Identifier: Apache-2.0
"""Which lines the corpora reach: a build of its own with clang's source-based coverage."""
import json
import pathlib
import shutil
import subprocess

from .targets import ROOT, Target, build as build_targets, compiler_cache, run_quietly

BUILD = ROOT / "build" / "fuzz-coverage"


def is_there() -> bool:
    return shutil.which("llvm-profdata") is not None and shutil.which("llvm-cov") is not None


def build(chosen: list, jobs: int) -> None:
    flags = "-fprofile-instr-generate -fcoverage-mapping"
    run_quietly(["cmake", "-S", ROOT, "-B", BUILD, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=RelWithDebInfo", "-DCMAKE_C_COMPILER=clang", "-DCMAKE_CXX_COMPILER=clang++",
                 "-DVGPU_FUZZ=ON", f"-DCMAKE_C_FLAGS={flags}", f"-DCMAKE_CXX_FLAGS={flags}"], env=compiler_cache())
    build_targets(BUILD, chosen, jobs)


def measure(target: Target) -> float:
    """Percent of the lines of the target's sources; the report by file goes to build/fuzz-coverage/reports/."""
    raw, profile = BUILD / f"{target.name}.profraw", BUILD / f"{target.name}.profdata"
    program = BUILD / "bin" / target.name
    run_quietly([program, "-runs=0", f"-max_len={target.longest}", *target.corpora()], env={**compiler_cache(), "LLVM_PROFILE_FILE": str(raw)})
    run_quietly(["llvm-profdata", "merge", "-sparse", raw, "-o", profile])
    sources = [place for place in (BUILD / name if name.startswith("gen/") else ROOT / name for name in target.covers) if place.exists()]
    report = llvm_cov("report", program, profile, sources)
    folder = BUILD / "reports"
    folder.mkdir(exist_ok=True)
    (folder / f"{target.short}.txt").write_text(report)
    (folder / f"{target.short}-lines.txt").write_text(llvm_cov("show", program, profile, sources))
    # Of folders llvm-cov makes no choice, and its totals are those of the whole program.
    files = json.loads(llvm_cov("export", program, profile, [], "-summary-only"))["data"][0]["files"]
    lines = [entry["summary"]["lines"] for entry in files if any(pathlib.Path(entry["filename"]).resolve().is_relative_to(place) for place in sources)]
    return 100 * sum(one["covered"] for one in lines) / max(1, sum(one["count"] for one in lines))


def llvm_cov(what: str, program: pathlib.Path, profile: pathlib.Path, sources: list, *more: str) -> str:
    return subprocess.run(["llvm-cov", what, program, f"-instr-profile={profile}", *more, *sources], capture_output=True, text=True, check=True).stdout
