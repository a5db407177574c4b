# SPDX-License-Identifier: Apache-2.0
"""The fuzz targets: built by CMake, which also says what each is about."""
import dataclasses
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[3]
BUILD = ROOT / "build" / "fuzz"


@dataclasses.dataclass
class Target:
    name: str
    longest: int  # bytes of an input
    covers: list  # sources that it is about; gen/ is the build's generated tree

    @property
    def short(self) -> str:
        return self.name.removeprefix("vgpu-fuzz-")

    @property
    def learnt(self) -> pathlib.Path:
        """What runs on this machine have found; kept between runs."""
        return ROOT / "build" / "fuzz-corpus" / self.name

    @property
    def kept(self) -> pathlib.Path:
        """What the repository holds."""
        return ROOT / "tests" / "fuzz" / "corpus" / self.name

    @property
    def seeds(self) -> pathlib.Path:
        """What the build makes from the tables and the tests."""
        return BUILD / "seeds" / self.name

    @property
    def dictionary(self) -> pathlib.Path:
        return BUILD / "seeds" / f"{self.name}.dict"

    def corpora(self) -> list:
        self.learnt.mkdir(parents=True, exist_ok=True)
        return [self.learnt, *(folder for folder in (self.kept, self.seeds) if folder.is_dir())]


def run_quietly(command: list, **more) -> None:
    """Says what a build said only if it failed."""
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)
    if done.returncode != 0:
        print(done.stdout[-8000:])
        raise SystemExit(f"fuzz: {' '.join(map(str, command[:4]))} failed")


def compiler_cache() -> dict:
    """A cache that knows nothing of where the checkout lies, as scripts/test uses it."""
    cache = {"CCACHE_BASEDIR": str(ROOT), "CCACHE_NOHASHDIR": "1", "CCACHE_COMPILERCHECK": "content", "CCACHE_SLOPPINESS": "time_macros"}
    return {**cache, **os.environ}


def configured() -> list:
    run_quietly(["cmake", "--preset", "fuzz"], env=compiler_cache())
    return listed(BUILD)


def build(folder: pathlib.Path, chosen: list, jobs: int) -> None:
    names = [target.name for target in chosen]
    run_quietly(["cmake", "--build", folder, "-j", str(jobs), "--target", "vgpu_fuzz_seeds", *names], env=compiler_cache())


def listed(folder: pathlib.Path) -> list:
    rows = [line.split("\t") for line in (folder / "fuzz-targets.tsv").read_text().splitlines()]
    return [Target(name, int(longest), covers.split()) for name, longest, covers in rows]
