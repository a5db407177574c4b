# SPDX-License-Identifier: Apache-2.0
"""Where the programs and libraries are: in an unpacked bundle or in a build tree."""
import os
import pathlib


class Layout:
    def __init__(self, top: pathlib.Path):
        """top holds bin/ and lib/."""
        self.top = top
        self.bin = top / "bin"
        self.lib = top / "lib"
        self.shim_folder = self.lib / "shim"

    @classmethod
    def find(cls, root: pathlib.Path, preset: str | None = None) -> "Layout":
        """The bundle that root is, or the build tree of the preset (default: the release build, else dev) below it."""
        candidates = [root / "build" / preset] if preset else [root, root / "build" / "release", root / "build" / "dev"]
        for top in candidates:
            if (top / "bin" / "vgpu-broker").exists():
                return cls(top)
        raise FileNotFoundError(f"no bin/vgpu-broker under {', '.join(map(str, candidates))}: build first, or unpack the bundle")

    def program(self, name: str) -> pathlib.Path:
        return self.bin / name

    def has(self, name: str) -> bool:
        return self.program(name).exists()

    def require(self) -> None:
        """What every remoted run needs; raises with the name of what is missing."""
        for path in (self.program("vgpu-broker"), self.program("vgpu-worker"), self.shim_folder / "libcuda.so.1"):
            if not path.exists():
                raise FileNotFoundError(f"{path} is missing: it was not built")


def native_environment() -> dict[str, str]:
    """This process's environment without anything of ours in it."""
    return {k: v for k, v in os.environ.items() if not k.startswith("VGPU_") and k != "NOTIFY_SOCKET"}


def remoted_environment(layout: Layout, socket: pathlib.Path, by: str = "path") -> dict[str, str]:
    """The environment in which a program finds the shim as its driver library, and the shim its broker.

    by: "path" (LD_LIBRARY_PATH), "preload" (LD_PRELOAD), or "config": the dynamic linker finds it by itself.
    """
    environment = native_environment()
    environment["VGPU_SOCKET"] = str(socket)
    if by == "preload":
        environment["LD_PRELOAD"] = str(layout.shim_folder / "libcuda.so.1")
    elif by == "path":
        rest = environment.get("LD_LIBRARY_PATH", "")
        environment["LD_LIBRARY_PATH"] = str(layout.shim_folder) + (":" + rest if rest else "")
    return environment
