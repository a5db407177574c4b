"""Puts the results of conformance runs into docs/conformance.md, between its two markers.

    report.py --document docs/conformance.md real=a.tsv shim-real=b.tsv sim=c.tsv shim-sim=d.tsv [--check]

Each file is what vgpu-conformance --tsv wrote. A column that is not given keeps what the document says of it.
"""
import argparse
import collections
import json
import pathlib
import sys

BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
COLUMNS = {"real": "real driver", "shim-real": "shim on real driver", "sim": "software GPU", "shim-sim": "shim on software GPU"}
STATUSES = ("pass", "fail", "skip")
DATA = "<!-- data: "


def read_tsv(path):
    """case -> (status, detail)"""
    results = {}
    for number, line in enumerate(pathlib.Path(path).read_text().splitlines(), 1):
        fields = line.split("\t", 2)
        if len(fields) != 3 or fields[1] not in STATUSES:
            sys.exit(f"{path}:{number}: not a line 'case<TAB>pass|fail|skip<TAB>detail'")
        results[fields[0]] = tuple(fields[1:])
    return results


def summary(results):
    """What the document keeps of a run: counts by group, and the cases that do not pass."""
    groups = collections.defaultdict(lambda: dict.fromkeys(STATUSES, 0))
    for name, (status, _) in results.items():
        groups[name.split(".")[0]][status] += 1
    others = {name: list(result) for name, result in sorted(results.items()) if result[0] != "pass"}
    return {"groups": {name: groups[name] for name in sorted(groups)}, "others": others}


def cell(counts):
    if counts is None:
        return "–"
    text = str(counts["pass"])
    text += f", **{counts['fail']} fail**" if counts["fail"] else ""
    return text + (f", {counts['skip']} skip" if counts["skip"] else "")


def total(run):
    return {status: sum(group[status] for group in run["groups"].values()) for status in STATUSES}


def escape(text):
    return text.replace("|", "\\|").replace("<", "&lt;")


def table(runs):
    lines = ["| group | " + " | ".join(COLUMNS.values()) + " |", "|---|" + "---|" * len(COLUMNS)]
    lines.append("| **all** | " + " | ".join(cell(total(runs[c])) if c in runs else "not run yet" for c in COLUMNS) + " |")
    for group in sorted({g for run in runs.values() for g in run["groups"]}):
        lines.append(f"| {group} | " + " | ".join(cell(runs[c]["groups"].get(group)) if c in runs else "" for c in COLUMNS) + " |")
    for column, title in COLUMNS.items():
        if column in runs and runs[column]["others"]:
            lines += ["", f"Not passed on: {title}", "", "| case | result | observed |", "|---|---|---|"]
            lines += [f"| `{name}` | {status} | {escape(detail)} |" for name, (status, detail) in runs[column]["others"].items()]
    return lines


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--document", required=True)
    parser.add_argument("--check", action="store_true", help="fail when the given files are not of the same cases")
    parser.add_argument("runs", nargs="*", metavar="COLUMN=FILE")
    options = parser.parse_args()

    document = pathlib.Path(options.document)
    before, _, rest = document.read_text().partition(BEGIN)
    old, _, after = rest.partition(END)
    if not after:
        sys.exit(f"{document} lacks the markers {BEGIN} and {END}")
    runs = {}
    for line in old.splitlines():
        if line.startswith(DATA):
            runs = json.loads(line.removeprefix(DATA).removesuffix(" -->"))

    given = {}
    for argument in options.runs:
        column, _, path = argument.partition("=")
        if column not in COLUMNS:
            sys.exit(f"unknown column {column}: one of {', '.join(COLUMNS)}")
        given[column] = read_tsv(path)
        runs[column] = summary(given[column])
    if options.check:
        names = set().union(*given.values()) if given else set()
        for column, results in given.items():
            if missing := sorted(names - set(results)):
                sys.exit(f"{column} lacks {len(missing)} cases, first {missing[0]}: the runs are not of one suite")

    # The summary travels in the document, so that one column can be renewed without the files of the others.
    data = json.dumps(runs, ensure_ascii=False, separators=(",", ":")).replace("--", "- -")
    document.write_text("\n".join([before + BEGIN, *table(runs), "", DATA + data + " -->", END + after]))


if __name__ == "__main__":
    main()
