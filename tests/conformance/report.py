"""Puts the results of conformance runs into docs/conformance.md, between its two markers.

    report.py [real=a.tsv] [shim-real=b.tsv] [sim=c.tsv] [shim-sim=d.tsv]

Each file is what vgpu-conformance --tsv wrote; it is kept as results/COLUMN.tsv beside this script. A column that is not given
stays as it was kept. The paths can be set for a trial: --results FOLDER --document FILE.
"""
import argparse
import collections
import pathlib
import sys

BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
COLUMNS = {"real": "real driver", "shim-real": "shim on real driver", "sim": "software GPU", "shim-sim": "shim on software GPU"}
STATUSES = ("pass", "fail", "skip")
HERE = pathlib.Path(__file__).resolve().parent


def parse(text, path):
    """case -> (status, detail)"""
    results = {}
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.split("\t", 2)
        if len(fields) != 3 or fields[1] not in STATUSES:
            sys.exit(f"{path}:{number}: not a line 'case<TAB>pass|fail|skip<TAB>detail'")
        results[fields[0]] = tuple(fields[1:])
    return results


def take_in(arguments, folder):
    for argument in arguments:
        column, _, path = argument.partition("=")
        if column not in COLUMNS:
            sys.exit(f"unknown column {column}: one of {', '.join(COLUMNS)}")
        text = pathlib.Path(path).read_text()
        parse(text, path)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{column}.tsv").write_text(text)


def read_all(folder):
    files = {column: folder / f"{column}.tsv" for column in COLUMNS}
    return {column: parse(path.read_text(), path) for column, path in files.items() if path.exists()}


def counts(results, group=None):
    of = collections.Counter(status for name, (status, _) in results.items() if group in (None, name.split(".")[0]))
    text = str(of["pass"])
    text += f", **{of['fail']} fail**" if of["fail"] else ""
    return text + (f", {of['skip']} skip" if of["skip"] else "")


def table(runs):
    lines = ["| group | " + " | ".join(COLUMNS.values()) + " |", "|---|" + "---|" * len(COLUMNS)]
    lines.append("| **all** | " + " | ".join(counts(runs[c]) if c in runs else "not run yet" for c in COLUMNS) + " |")
    for group in sorted({name.split(".")[0] for run in runs.values() for name in run}):
        lines.append(f"| {group} | " + " | ".join(counts(runs[c], group) if c in runs else "" for c in COLUMNS) + " |")
    return lines


def differences(runs):
    """A row for every case that does not pass everywhere."""
    lines = []
    for name in sorted({name for run in runs.values() for name in run}):
        answers = [runs[c].get(name, ("not run", "")) if c in runs else ("", "") for c in COLUMNS]
        if all(status in ("pass", "") for status, _ in answers):
            continue
        cells = [status if status in ("pass", "", "not run") else f"{status}: {detail}" for status, detail in answers]
        lines.append(f"| `{name}` | " + " | ".join(c.replace("|", "\\|").replace("<", "&lt;") for c in cells) + " |")
    if not lines:
        return []
    return ["", "Cases that do not pass in every column:", "", "| case | " + " | ".join(COLUMNS.values()) + " |",
            "|---|" + "---|" * len(COLUMNS), *lines]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--document", type=pathlib.Path, default=HERE.parent.parent / "docs" / "conformance.md")
    parser.add_argument("--results", type=pathlib.Path, default=HERE / "results")
    parser.add_argument("runs", nargs="*", metavar="COLUMN=FILE")
    options = parser.parse_args()

    before, _, rest = options.document.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    if not after:
        sys.exit(f"{options.document} lacks the markers {BEGIN} and {END}")
    take_in(options.runs, options.results)
    runs = read_all(options.results)
    options.document.write_text("\n".join([before + BEGIN, *table(runs), *differences(runs), END + after]))


if __name__ == "__main__":
    main()
