# SPDX-License-Identifier: Apache-2.0
"""Debian packages, downloaded and unpacked below a cache folder; nothing is installed."""
import pathlib
import shutil
import subprocess


class PackageFailed(Exception):
    """A package could not be had; the text says what apt said."""


DOWNLOAD_SECONDS = 300


def run(words: list[str], folder: pathlib.Path) -> str:
    done = subprocess.run(words, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DOWNLOAD_SECONDS)
    if done.returncode != 0:
        raise PackageFailed(f"{' '.join(words)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def dependency_of(meta: str, prefix: str) -> str:
    """The package that a meta-package stands for."""
    lines = run(["apt-cache", "depends", "--important", meta], pathlib.Path("/")).splitlines()
    names = [line.split()[-1] for line in lines if "Depends:" in line]
    found = [name for name in names if name.startswith(prefix)]
    if not found:
        raise PackageFailed(f"apt knows no {prefix}* behind {meta}: apt-get update, and is this Debian?")
    return found[0]


def download(package: str, folder: pathlib.Path) -> pathlib.Path:
    folder.mkdir(parents=True, exist_ok=True)
    try:
        run(["apt-get", "-q", "download", package], folder)
    except PackageFailed:
        # The lists may be older than the mirror; only root may renew them.
        subprocess.run(["apt-get", "-q", "update"], capture_output=True, timeout=DOWNLOAD_SECONDS, check=False)
        run(["apt-get", "-q", "download", package], folder)
    return next(folder.glob(f"{package}_*.deb"))


def unpacked(package: str, cache: pathlib.Path) -> pathlib.Path:
    """The package's files, from the cache if they are there."""
    target = cache / package
    if not target.exists():
        cache.mkdir(parents=True, exist_ok=True)
        unfinished = cache / f".{package}"
        shutil.rmtree(unfinished, ignore_errors=True)
        archive = download(package, cache / "archives")
        run(["dpkg-deb", "-x", str(archive), str(unfinished)], cache)
        archive.unlink()
        unfinished.rename(target)
    return target
