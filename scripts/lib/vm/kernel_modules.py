# SPDX-License-Identifier: Apache-2.0
"""Modules of a Debian kernel package, with those that they need, in the order in which they can be loaded."""
import lzma
import pathlib
import re


class Modules:
    def __init__(self, folder: pathlib.Path):
        """folder: lib/modules/RELEASE of the unpacked package."""
        self._paths = {_name(path): path for path in folder.rglob("*.ko*")}
        self._built_in = {_name(pathlib.Path(line)) for line in (folder / "modules.builtin").read_text().split()}

    def with_needed(self, wanted: list[str]) -> list[tuple[str, bytes]]:
        """Names and contents."""
        found: dict[str, bytes] = {}
        for name in wanted:
            self._add(name, found)
        return list(found.items())

    def _add(self, name: str, found: dict[str, bytes]) -> None:
        if name in found or name in self._built_in:
            return
        if name not in self._paths:
            raise FileNotFoundError(f"this kernel has no module {name}")
        content = _content(self._paths[name])
        needed = re.search(rb"\0depends=([^\0]*)\0", content)
        for other in needed.group(1).decode().split(",") if needed else []:
            if other:
                self._add(other.replace("-", "_"), found)
        found[name] = content


def _name(path: pathlib.Path) -> str:
    return path.name.split(".ko")[0].replace("-", "_")


def _content(path: pathlib.Path) -> bytes:
    return lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
