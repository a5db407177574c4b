# SPDX-License-Identifier: Apache-2.0
"""clang-tidy within a time limit: files changed last come first, then a sample that moves with every commit.

What is found in a file that was not changed is a note: a commit must not fail by what another one left.
"""
import json
import os
import pathlib
import random
import re
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from .tree import Tree

GCC_ONLY = {"-fno-gnu-unique"}  # clang stops at flags it does not know
SAMPLE = 6


def write_database(build: pathlib.Path) -> pathlib.Path:
    """compile_commands.json with what clang can read, in a folder of its own."""
    commands = json.loads((build / "compile_commands.json").read_text())
    for entry in commands:
        words = entry["command"].split(" ")
        if words[0].endswith("ccache"):
            words = words[1:]
        entry["command"] = " ".join(w for w in words if w not in GCC_ONLY)
    folder = build / "tidy"
    folder.mkdir(exist_ok=True)
    (folder / "compile_commands.json").write_text(json.dumps(commands))
    return folder


def choose(tree: Tree, built: set[str]) -> list[str]:
    """Sources to look at, in the order in which to look."""
    sources = [n for n in tree.code() if n.endswith(".cpp") and n in built]
    changed_names = set(tree.changed())
    changed = [n for n in sources if n in changed_names]
    others = [n for n in sources if n not in changed_names]
    generator = random.Random(tree.head())
    generator.shuffle(changed)
    return changed + generator.sample(others, min(SAMPLE, len(others)))


def check(tree: Tree, preset: str, seconds: int) -> list[str]:
    build = tree.root / "build" / preset
    if not (build / "compile_commands.json").exists():
        return [f"build/{preset}: [tidy] not configured: cmake --preset {preset}, and build it, for generated headers are needed"]
    database = write_database(build)
    built = {os.path.relpath(e["file"], tree.root) for e in json.loads((build / "compile_commands.json").read_text())}
    names = choose(tree, built)
    deadline = time.monotonic() + seconds
    unchecked, findings, lock = [], set(), threading.Lock()

    def run(name: str) -> None:
        left = deadline - time.monotonic()
        try:
            if left < 1:
                raise subprocess.TimeoutExpired(name, 0)
            done = subprocess.run(["clang-tidy", "--quiet", "-p", str(database), name], cwd=tree.root, capture_output=True, text=True, timeout=left)
        except subprocess.TimeoutExpired:
            with lock:
                unchecked.append(name)
            return
        for line in done.stdout.splitlines():
            match = re.match(r"(\S+?):(\d+):\d+: (?:warning|error): (.*) \[([^\]]+)\]$", line)
            if match:
                path = os.path.relpath(match.group(1), tree.root)
                with lock:
                    findings.add(f"{path}:{match.group(2)}: [tidy] {match.group(3)} ({match.group(4).split(',')[0]})")

    with ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        list(pool.map(run, names))
    changed = set(tree.changed())
    notes = {f for f in findings if f.split(":")[0] not in changed}
    for note in sorted(notes):
        print(f"note: {note}")
    print(f"check: tidy       {len(names) - len(unchecked)} of {len(names)} chosen files looked at, {len(built)} in all")
    return sorted(findings - notes)
