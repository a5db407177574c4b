# SPDX-License-Identifier: Apache-2.0
"""A Debian root that programs are run in by chroot, and what is asked of it."""
import pathlib
import subprocess

ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
SECONDS = 120


class Root:
    def __init__(self, path: pathlib.Path):
        self.path = path

    def __truediv__(self, name: str) -> pathlib.Path:
        return self.path / name.lstrip("/")

    def run(self, *command: str, check: int | None = 0) -> str:
        """What it said, on both streams; raises unless it ends with `check` (None: whatever)."""
        # Services started in there keep what they inherit open: a file, unlike a pipe, is read without waiting for them.
        with (self / "tmp/said").open("w+") as said:
            done = subprocess.run(["chroot", str(self.path), *command], env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=said, stderr=said, timeout=SECONDS)
        text = (self / "tmp/said").read_text(errors="replace")
        if check is not None and done.returncode != check:
            raise AssertionError(f"{' '.join(command)} ended with {done.returncode}, not {check}:\n{text}")
        return text

    def package(self, name: str, version: str) -> str:
        """The path in the root of a package's file."""
        found = [p for p in (self / "packages").iterdir() if p.name.startswith((f"{name}_{version}", f"{name}-{version}"))]
        return {p.suffix: f"/packages/{p.name}" for p in found}[".deb"]

    def rpm_package(self, name: str, version: str) -> pathlib.Path:
        return next((self / "packages").glob(f"{name}-{version}*.rpm"))

    def status_of(self, package: str) -> str:
        """As dpkg says it: installed, config-files, or nothing."""
        return self.run("dpkg-query", "-W", "-f", "${db:Status-Status}", package, check=None) if self.knows(package) else ""

    def knows(self, package: str) -> bool:
        return "no packages found" not in self.run("dpkg-query", "-W", package, check=None)

    def write(self, name: str, text: str, mode: int = 0o644) -> None:
        path = self / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
