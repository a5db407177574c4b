# SPDX-License-Identifier: Apache-2.0
"""The files that the checks look at: tracked ones and new ones that git does not ignore."""
import pathlib
import re
import subprocess

CODE = {".c", ".cc", ".cpp", ".cu", ".h", ".hpp"}


class Tree:
    def __init__(self, root: pathlib.Path, changed_only: bool = False, fix: bool = False):
        self.root = root
        self.changed_only = changed_only
        self.fix = fix
        self.files = self._list_files()

    def _git(self, *arguments: str) -> str:
        done = subprocess.run(["git", "-c", "safe.directory=*", *arguments], cwd=self.root, capture_output=True, text=True)
        return done.stdout if done.returncode == 0 else ""

    def _list_files(self) -> list[str]:
        names = set(self._git("ls-files", "-co", "--exclude-standard").splitlines())
        if not names:  # no repository: an unpacked archive
            names = {str(p.relative_to(self.root)) for p in self.root.rglob("*") if p.is_file()}
            names = {n for n in names if not n.startswith(("build/", "dist/", ".git/"))}
        return sorted(n for n in names if (self.root / n).is_file())

    def changed(self) -> list[str]:
        """Files that differ from the upstream branch, or from the commit before the last, working tree included;
        none where the history does not tell (a shallow clone)."""
        base = self._git("merge-base", "HEAD", "origin/HEAD").strip() or self._git("rev-parse", "HEAD~1").strip()
        if base == self._git("rev-parse", "HEAD").strip():
            base = self._git("rev-parse", "HEAD~1").strip()
        names = set(self._git("diff", "--name-only", base).splitlines()) if base else set()
        names |= set(self._git("ls-files", "-o", "--exclude-standard").splitlines())
        return [n for n in self.files if n in names]

    def head(self) -> str:
        return self._git("rev-parse", "HEAD").strip()

    def code(self, *folders: str) -> list[str]:
        """C and C++ files, those below the given folders or all."""
        names = [n for n in self.files if pathlib.PurePath(n).suffix in CODE]
        return [n for n in names if not folders or n.startswith(tuple(f + "/" for f in folders))]

    def read(self, name: str) -> str:
        return (self.root / name).read_text(encoding="utf-8", errors="replace")


_TOKENS = re.compile(
    r"//[^\n]*|/\*.*?\*/"  # comments
    r"|R\"(?P<mark>[^()\\ ]{0,16})\(.*?\)(?P=mark)\""  # raw strings
    r"|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])+'",
    re.S,
)


def without_comments_and_strings(text: str) -> str:
    """The same text with comments and string literals blanked; line numbers stay."""

    def blank(match: re.Match) -> str:
        return re.sub(r"[^\n]", " ", match.group(0))

    # 1'000'000 is no character literal.
    return _TOKENS.sub(blank, re.sub(r"(?<=[0-9a-fA-F])'(?=[0-9a-fA-F])", "_", text))


def line_of(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1
