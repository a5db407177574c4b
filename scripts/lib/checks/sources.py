# SPDX-License-Identifier: Apache-2.0
"""Rules about C and C++ sources."""
import fnmatch
import pathlib
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
import os

from .tree import Tree, line_of, without_comments_and_strings

# ---- format -----------------------------------------------------------------------------------------------------

def check_format(tree: Tree) -> Iterator[str]:
    names = tree.code()
    if tree.changed_only:
        changed = set(tree.changed())
        names = [n for n in names if n in changed]
    mode = ["-i"] if tree.fix else ["--dry-run", "-Werror"]
    batches = [names[i : i + 20] for i in range(0, len(names), 20)]

    def run(batch: list[str]) -> str:
        try:
            done = subprocess.run(["clang-format", *mode, *batch], cwd=tree.root, capture_output=True, text=True)
        except FileNotFoundError:
            return "clang-format: [format] is not installed: run scripts/setup"
        return done.stderr

    with ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        reports = list(pool.map(run, batches))
    seen = set()
    for report in reports:
        for line in report.splitlines():
            match = re.match(r"(\S+?):(\d+):\d+: error", line)
            if match and match.group(1) not in seen:
                seen.add(match.group(1))
                yield f"{match.group(1)}:{match.group(2)}: [format] run scripts/check --only format --fix"
            elif line.startswith("clang-format: "):
                yield line
                return


# ---- direction of includes --------------------------------------------------------------------------------------

# Folder -> the folders of ours that it may include besides itself.
LAYERS = {
    "common/abi": [],
    "common/base": ["common/abi"],
    "common/shm": ["common/abi", "common/base"],
    "common/ring": ["common/abi", "common/base", "common/shm"],
    "common/wire": ["common/abi", "common/base", "common/shm", "common/ring"],
    "common/control": ["common/abi", "common/base", "common/shm", "common/wire"],
    "common/api": ["common/abi", "common/base", "common/shm", "common/ring", "common/wire"],
    "broker": ["common"],
    "worker/sim": ["common"],  # a library of its own behind the driver's interface, not a part of the worker
    "worker": ["common"],
    "shim": ["common"],
    "stub": ["common/abi"],
}
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"', re.M)


def layer_of(path: str) -> str | None:
    """The longest folder of LAYERS that holds the path."""
    holders = [layer for layer in LAYERS if path.startswith(layer + "/")]
    return max(holders, key=len, default=None)


def resolve_include(tree: Tree, includer: str, name: str) -> str:
    """Path from the root: the compiler looks beside the file first, then from the root and from the generated tree."""
    beside = (pathlib.PurePath(includer).parent / name).as_posix()
    return beside if (tree.root / beside).is_file() else name


def check_includes(tree: Tree) -> Iterator[str]:
    for name in tree.code():
        layer = layer_of(name)
        if layer is None:
            continue
        text = tree.read(name)
        for match in INCLUDE.finditer(text):
            where = f"{name}:{line_of(text, match.start())}: [includes]"
            if ".." in pathlib.PurePath(match.group(1)).parts:
                yield f"{where} write the path from the root, not with '..'"
                continue
            target = resolve_include(tree, name, match.group(1))
            target_layer = layer_of(target)
            if target_layer is None:
                if "/" in target and (tree.root / target).exists():
                    yield f"{where} {layer} must not include {target}"
                continue
            allowed = [layer, *LAYERS[layer]]
            if not any(target_layer == a or target_layer.startswith(a + "/") for a in allowed if a != "worker" or target_layer != "worker/sim"):
                yield f"{where} {layer} must not include {target_layer} ({target}); allowed: {', '.join(allowed)}"


# ---- raw access to memory ---------------------------------------------------------------------------------------

RAW = re.compile(r"\b(reinterpret_cast|volatile|atomic_ref)\b")
# No object in memory is meant by these: a fence is "asm volatile", and the socket calls want this one cast.
HARMLESS = re.compile(r"(asm|__asm__)\s+(volatile|__volatile__)|reinterpret_cast<(const )?(::)?(struct )?sockaddr\s?\*>")
ALLOW_FILE = pathlib.Path(__file__).with_name("raw_memory.allow")


def read_allow_list() -> list[tuple[str, set[str]]]:
    entries = []
    for line in ALLOW_FILE.read_text().splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        pattern, tokens, reason = (line.split(None, 2) + ["", ""])[:3]
        if not reason:
            raise SystemExit(f"{ALLOW_FILE.name}: '{line}' gives no reason")
        entries.append((pattern, set(tokens.split(","))))
    return entries


def check_memory(tree: Tree) -> Iterator[str]:
    allowed = read_allow_list()
    used = set()
    for name in tree.code("common", "broker", "worker", "shim"):
        if name.endswith((".c", ".h")):
            continue  # plain C for the device model has no such casts, and abi/ no code
        raw = tree.read(name)
        text = HARMLESS.sub(lambda m: " " * len(m.group(0)), without_comments_and_strings(raw))
        for match in RAW.finditer(text):
            entries = [i for i, (pattern, tokens) in enumerate(allowed) if match.group(1) in tokens and fnmatch.fnmatch(name, pattern)]
            used.update(entries)
            if not entries:
                yield (
                    f"{name}:{line_of(text, match.start())}: [memory] {match.group(1)}: use common/shm's UntrustedRegion or "
                    f"std::memcpy, or add the file to {ALLOW_FILE.name} with the reason"
                )
    for index, (pattern, _) in enumerate(allowed):
        if index not in used:
            yield f"note: {ALLOW_FILE.name}: '{pattern}' is needed by no file"


# ---- the broker knows nothing of CUDA ---------------------------------------------------------------------------

CUDA_IN_BROKER = re.compile(r"\bcu[A-Z]\w+\s*\(|\bCU(?:result|device|context|stream|deviceptr)\b|\bdlm?open\s*\(|\bdlsym\s*\(|libcuda|cuda\.h|nvml\.h")


def check_cuda_free(tree: Tree) -> Iterator[str]:
    for name in tree.files:
        # vgpu-admin is another program: its doctor looks for the driver's files, and opens none.
        if not name.startswith("broker/") or name.startswith("broker/vgpu_admin/") or pathlib.PurePath(name).suffix not in {".cpp", ".hpp", ".h", ".c", ".txt"}:
            continue
        text = tree.read(name)
        # Comments may speak of CUDA; code and strings must not.
        code = re.sub(r"//[^\n]*|/\*.*?\*/|(?m:^\s*#(?!\s*include)[^\n]*)", lambda m: re.sub(r"[^\n]", " ", m.group(0)), text, flags=re.S)
        for match in CUDA_IN_BROKER.finditer(code):
            yield f"{name}:{line_of(code, match.start())}: [cuda-free] '{match.group(0)}': the broker must not reach CUDA; this belongs into the worker"


# ---- the table ---------------------------------------------------------------------------------------------------

def check_table(tree: Tree) -> Iterator[str]:
    generator = tree.root / "common" / "api" / "generate.py"
    if not generator.exists():
        return
    done = subprocess.run([sys.executable, str(generator), "--check"], cwd=tree.root, capture_output=True, text=True)
    if done.returncode != 0:
        for line in (done.stdout + done.stderr).strip().splitlines()[-20:]:
            yield f"common/api: [table] {line}"
