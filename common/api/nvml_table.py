"""Reads nvml.table into rows, and says what is wrong with them."""
import dataclasses
import pathlib
import re

from table import load_calls

CLASSES = ("guest", "fact", "live", "none")
ASKED = ("fact", "live")
EXPORTED = 404  # by the NVML of driver 580
PLAIN = {"unsigned": "uint32_t", "int": "int32_t", "unsigned long long": "uint64_t"}
MOST_ARGUMENTS = 256  # bytes: the cap of nvml_query


@dataclasses.dataclass
class NvmlRow:
    cls: str
    number: int
    symbol: str
    params: list
    attrs: dict
    line: int

    @property
    def prototype(self):
        return ", ".join(f"{p.type} {p.name}" for p in self.params)

    @property
    def returns(self):
        return "const char*" if self.attrs.get("returns") == "text" else "nvmlReturn_t"

    @property
    def devices(self):
        return [p for p in self.params if p.type == "nvmlDevice_t"]


class Nvml:
    def __init__(self):
        self.rows, self.structs, self.enums, self.problems = [], [], [], []

    @property
    def asked(self):
        return [r for r in self.rows if r.cls in ASKED]

    @property
    def typed(self):
        return [r for r in self.rows if r.cls != "none"]


def version_of(param):
    """The version that a structure must say it has; 0 if it says none."""
    match = re.fullmatch(r"v(\d)", param.note)
    return int(match.group(1)) if match else 0


def is_text(param):
    return param.note in ("text", "text64")


def check_param(nvml, row, param, following):
    """What is wrong with a parameter of a question, or None."""
    if param.type == "nvmlDevice_t" or param.type in PLAIN or param.type in nvml.enums:
        return None
    if is_text(param):
        is_followed = following is not None and (following.type, following.name) == ("unsigned", "length")
        return None if param.note == "text64" or is_followed else "a text without its length"
    known = param.type.endswith("*") and (param.target in PLAIN or param.target in nvml.enums or param.target in nvml.structs)
    if known and (param.note == "out" or version_of(param)):
        return None
    return "no codec"


def check(nvml):
    say = nvml.problems.append
    symbols = [r.symbol for r in nvml.rows]
    if len(set(symbols)) != EXPORTED or len(symbols) != EXPORTED:
        say(f"nvml.table: {len(symbols)} rows for {len(set(symbols))} functions; the library exports {EXPORTED}")
    seen = {}
    for row in nvml.rows:
        if row.cls in ASKED and not row.number:
            say(f"nvml.table:{row.line}: {row.symbol} has no number")
        if row.number and row.number in seen:
            say(f"nvml.table:{row.line}: number {row.number} of {row.symbol} repeats that of {seen[row.number]}")
        seen[row.number] = row.symbol
        if row.cls not in ASKED:
            continue
        for param, following in zip(row.params, row.params[1:] + [None]):
            wrong = check_param(nvml, row, param, following)
            if wrong:
                say(f"nvml.table:{row.line}: {wrong}: {param.type} {param.name} of {row.symbol}")


def load(folder):
    folder = pathlib.Path(folder)
    nvml = Nvml()
    types = (folder / "nvml_types.hpp").read_text()
    nvml.structs = re.findall(r"^struct (\w+) \{", types, re.M)
    nvml.enums = re.findall(r"^using (\w+) = unsigned;", types, re.M)
    load_calls(nvml, folder / "nvml.table", "nvml", CLASSES, NvmlRow)
    check(nvml)
    return nvml
