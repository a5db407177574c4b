# SPDX-License-Identifier: Apache-2.0
"""Merging what was learnt back into the repository: the fewest small inputs that reach the same edges."""
import hashlib
import pathlib
import shutil
import tempfile

from .targets import BUILD, Target, run_quietly

MOST_BYTES = 120_000  # of one target: the repository stays small


def keep(target: Target) -> tuple:
    """Number and size of the files that tests/fuzz/corpus/TARGET holds now. Seeds that the build makes are not kept."""
    with tempfile.TemporaryDirectory() as folder:
        merged = pathlib.Path(folder)
        run_quietly([BUILD / "bin" / target.name, "-merge=1", "-use_counters=0", f"-max_len={target.longest}", merged, *reversed(target.corpora())])
        inputs = sorted((path.read_bytes() for path in merged.iterdir()), key=len)
    made = {path.read_bytes() for path in target.seeds.iterdir()} if target.seeds.is_dir() else set()
    shutil.rmtree(target.kept, ignore_errors=True)
    target.kept.mkdir(parents=True)
    count = total = 0
    for data in (data for data in inputs if data not in made):
        if total + len(data) > MOST_BYTES:
            break
        (target.kept / f"{hashlib.sha1(data).hexdigest()[:16]}.bin").write_bytes(data)
        count, total = count + 1, total + len(data)
    return count, total
