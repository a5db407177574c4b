# SPDX-License-Identifier: Apache-2.0
"""Rules about any text: leftovers, scripts that parse, links that lead somewhere, size."""
import ast
import pathlib
import re
import subprocess
from collections.abc import Iterator

from .tree import Tree, line_of

# Put together from halves so that this file does not find itself.
LEFTOVERS = re.compile(r"\b(" + "|".join(a + b for a, b in (("TO", "DO"), ("FIX", "ME"), ("XX", "X"))) + r")\b|(?<![\w.])/wo" + r"rk/")
TEXT_SUFFIXES = {"", ".c", ".cc", ".cpp", ".cu", ".h", ".hpp", ".md", ".py", ".sh", ".txt", ".cmake", ".json", ".toml", ".tsv", ".ptx", ".8"}
SIZE_NOTE = 500


def check_words(tree: Tree) -> Iterator[str]:
    for name in tree.files:
        if pathlib.PurePath(name).suffix not in TEXT_SUFFIXES:
            continue
        text = tree.read(name)
        for match in LEFTOVERS.finditer(text):
            yield f"{name}:{line_of(text, match.start())}: [words] '{match.group(0)}': finish it, or file an issue and leave it out"


def check_scripts(tree: Tree) -> Iterator[str]:
    for name in tree.files:
        path = tree.root / name
        with path.open("rb") as file:
            first = file.readline(80)
        if name.endswith(".sh") or (first.startswith(b"#!") and b"sh" in first):
            done = subprocess.run(["bash", "-n", name], cwd=tree.root, capture_output=True, text=True)
            if done.returncode != 0:
                yield f"{name}: [scripts] {done.stderr.strip()}"
        elif name.endswith(".py") or (first.startswith(b"#!") and b"python" in first):
            try:
                ast.parse(tree.read(name), name)
            except SyntaxError as error:
                yield f"{name}:{error.lineno}: [scripts] {error.msg}"
        else:
            continue
        if first.startswith(b"#!") and not path.stat().st_mode & 0o111:
            yield f"{name}: [scripts] has a first line for the kernel but may not be executed: chmod +x"


LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def check_links(tree: Tree) -> Iterator[str]:
    for name in tree.files:
        if not name.endswith(".md"):
            continue
        text = tree.read(name)
        for match in LINK.finditer(text):
            target = match.group(1)
            if "://" in target or target.startswith("mailto:"):
                continue
            if not (tree.root / pathlib.PurePath(name).parent / target).exists():
                yield f"{name}:{line_of(text, match.start())}: [links] {target} does not exist"


def check_size(tree: Tree) -> Iterator[str]:
    for name in tree.code() + [n for n in tree.files if n.endswith(".py")]:
        lines = tree.read(name).count("\n")
        if lines > SIZE_NOTE:
            yield f"note: {name} has {lines} lines: has it more than one reason to change?"
