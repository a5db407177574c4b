# SPDX-License-Identifier: Apache-2.0
"""Archives that Linux unpacks as its first root file system (cpio, "newc")."""
import stat


class Archive:
    def __init__(self):
        self._parts: list[bytes] = []
        self._folders: set[str] = set()
        self._next = 1

    def folder(self, name: str, mode: int = 0o755) -> None:
        """With the folders above it; a mode given later does not count."""
        above, _, _ = name.rpartition("/")
        if above:
            self.folder(above)
        if name not in self._folders:
            self._folders.add(name)
            self._entry(name, stat.S_IFDIR | mode, b"")

    def file(self, name: str, content: bytes, mode: int = 0o644) -> None:
        self._place(name)
        self._entry(name, stat.S_IFREG | mode, content)

    def link(self, name: str, target: str) -> None:
        self._place(name)
        self._entry(name, stat.S_IFLNK | 0o777, target.encode())

    def device(self, name: str, major: int, minor: int) -> None:
        self._place(name)
        self._entry(name, stat.S_IFCHR | 0o600, b"", major, minor)

    def content(self) -> bytes:
        end = _header("TRAILER!!!", 0, 0, b"")
        return _padded(b"".join(self._parts) + end, 512)

    def _place(self, name: str) -> None:
        above, _, _ = name.rpartition("/")
        if above:
            self.folder(above)

    def _entry(self, name: str, mode: int, content: bytes, major: int = 0, minor: int = 0) -> None:
        self._parts += [_header(name, self._next, mode, content, major, minor), _padded(content, 4)]
        self._next += 1


def _header(name: str, number: int, mode: int, content: bytes, major: int = 0, minor: int = 0) -> bytes:
    encoded = name.encode() + b"\0"
    #        inode   mode  uid gid links time size      file's device  major  minor  name          check
    fields = [number, mode, 0, 0, 1, 0, len(content), 0, 0, major, minor, len(encoded), 0]
    return _padded(b"070701" + b"".join(b"%08x" % field for field in fields) + encoded, 4)


def _padded(content: bytes, unit: int) -> bytes:
    return content + b"\0" * (-len(content) % unit)
