# SPDX-License-Identifier: Apache-2.0
"""check_troubleshooting.py: every entry of the troubleshooting tables in docs/operations.md names a test that there is."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]
TRIED_IN = re.compile(r"\| `([\w./]+): ([^`]+)` \|$")


def main() -> int:
    part = (ROOT / "docs" / "operations.md").read_text().partition("## Part 3: when something is wrong")[2]
    rows = [line for line in part.splitlines() if line.startswith("| ") and not line.startswith("| what you see")]
    problems = []
    for row in rows:
        found = TRIED_IN.search(row)
        if not found:
            problems.append(f"no test is named: {row[:70]}")
        elif found.group(2) not in (ROOT / found.group(1)).read_text() if (ROOT / found.group(1)).exists() else True:
            problems.append(f"{found.group(1)} has no {found.group(2)}")
    print("\n".join(problems) or f"{len(rows)} entries name a test that there is")
    return 1 if problems or len(rows) < 10 else 0


if __name__ == "__main__":
    sys.exit(main())
