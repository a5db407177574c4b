"""Writes the measured answers of cuGetProcAddress (common/api/versions.tsv) as initialisers for the cases."""
import pathlib
import sys

source, target = map(pathlib.Path, sys.argv[1:])
rows = [line.split("\t") for line in source.read_text().splitlines() if line and not line.startswith("#")]
rows.sort(key=lambda row: (row[0], row[1], int(row[2])))
target.parent.mkdir(parents=True, exist_ok=True)
target.write_text("".join(f'{{"{base}", "{flag}", {since}, "{symbol}"}},\n' for base, flag, since, symbol in rows))
