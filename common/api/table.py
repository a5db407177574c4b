"""Reads the tables of this folder into rows, and says what is wrong with them."""
import dataclasses
import pathlib
import re

CLASSES = ("guest", "custom", "forward", "none")
# Where the ABI's types are.
TYPE_FILES = ("cuda_types.hpp", "cuda_memory_types.hpp", "cuda_graph_types.hpp", "cuda_code_types.hpp", "cuda_device_types.hpp",
              "cuda_texture_types.hpp")

# Handle type of the ABI -> kind (common/wire/handle.hpp).
HANDLES = {
    "CUcontext": "context", "CUmodule": "module", "CUlibrary": "library", "CUkernel": "kernel", "CUfunction": "function",
    "CUstream": "stream", "CUevent": "event", "CUgraph": "graph", "CUgraphExec": "exec", "CUmemoryPool": "pool",
    "CUgraphNode": "node", "CUmemGenericAllocationHandle": "memory",
    "CUarray": "array", "CUmipmappedArray": "mipmap", "CUtexref": "texref", "CUsurfref": "surfref",
}
# Of these the driver calls null an invalid value; of the others an invalid handle, or it has a meaning (streams).
NULL_IS_INVALID_VALUE = ("CUgraph", "CUgraphExec", "CUgraphNode", "CUtexref")
KINDS = tuple(HANDLES.values())
SCALARS = {"u32": ("uint32_t", 4), "i32": ("int32_t", 4), "u64": ("uint64_t", 8), "f32": ("float", 4)}
# Plain types of the ABI -> wire scalar.
PLAIN = {"int": "i32", "unsigned": "u32", "size_t": "u64", "unsigned long long": "u64", "CUdeviceptr": "u64", "CUdevice": "i32",
         "float": "f32", "cuuint64_t": "u64", "cuuint32_t": "u32"}


@dataclasses.dataclass
class Param:
    type: str
    name: str
    note: str = ""

    @property
    def target(self):
        """What a pointer parameter points to."""
        return self.type[:-1].removeprefix("const ").strip()


@dataclasses.dataclass
class Row:
    cls: str
    number: int
    symbol: str
    params: list
    attrs: dict
    line: int

    @property
    def variants(self):
        return [v for v in self.attrs.get("variants", "").split(",") if v]

    @property
    def needs_context(self):
        return self.attrs.get("ctx") != "no"


@dataclasses.dataclass
class Field:
    type: str
    name: str
    cap: int = 0


@dataclasses.dataclass
class Op:
    number: int
    name: str
    posted: bool
    request: list
    reply: list
    attrs: dict
    line: int

    @property
    def struct(self):
        return "".join(part.capitalize() for part in self.name.split("_"))


class Api:
    def __init__(self):
        self.rows, self.ops, self.versions, self.errors, self.problems = [], [], [], [], []
        self.reasons = {}  # of functions that are not supported: name -> words
        self.types = set()

    def prototype(self, row):
        """C prototype parameter list of a row, or None if it names a type that cuda_types.hpp does not define."""
        if row.params is None:
            return None
        for param in row.params:
            word = param.type.replace("const ", "").rstrip("*").strip()
            if word not in self.types and word not in PLAIN and word not in ("void", "char", "unsigned char", "unsigned short"):
                return None
        return ", ".join(f"{p.type} {p.name}".strip() for p in row.params)


def split_attrs(text):
    return dict(part.split("=", 1) for part in text.split())


def parse_params(text):
    if text == "?":
        return None
    params = []
    for part in filter(None, (p.strip() for p in text.split(","))):
        part, _, note = part.partition(":")
        match = re.match(r"^(.*[\s*])(\w+)$", part)
        known = part in PLAIN or part.startswith("CU") and " " not in part or part.endswith("*") or part in ("unsigned char", "unsigned short")
        if match and not known:
            params.append(Param(match.group(1).strip(), match.group(2), note))
        else:
            params.append(Param(part, ""))
    return params


def load_calls(api, path, prefix="cu", classes=CLASSES, make=Row, parse=parse_params):
    """Rows "class [number] symbol(parameters) [attributes]" of a table of functions whose names begin with the prefix."""
    pattern = re.compile(rf"^(\w+)(?: (\d+))? ({prefix}\w+)\((.*?)\)(?: (.*))?$")
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        if line.startswith("reason "):
            _, name, api.reasons[name] = line.split(maxsplit=2)
            continue
        match = pattern.match(line)
        if not match or match.group(1) not in classes:
            api.problems.append(f"{path.name}:{number}: not a row: {line}")
            continue
        cls, op, symbol, params, attrs = match.groups()
        api.rows.append(make(cls, int(op or 0), symbol, parse(params), split_attrs(attrs or ""), number))


def parse_fields(text):
    fields = []
    for part in filter(None, (p.strip() for p in text.split(","))):
        kind, name = part.split()
        kind, _, cap = kind.partition("<=")
        fields.append(Field(kind, name, int(cap or 0)))
    return fields


def load_ops(api, path):
    pattern = re.compile(r"^op (\d+) (\w+) (sync|posted) \((.*?)\)(?: -> \((.*?)\))?(?: (.*))?$")
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        match = pattern.match(line)
        if not match:
            api.problems.append(f"{path.name}:{number}: not an operation: {line}")
            continue
        op, name, mode, request, reply, attrs = match.groups()
        api.ops.append(Op(int(op), name, mode == "posted", parse_fields(request), parse_fields(reply or ""), split_attrs(attrs or ""), number))


def load_tsv(path):
    return [line.split("\t") for line in path.read_text().splitlines() if line and not line.startswith("#")]


def check(api):
    say = api.problems.append
    seen = {}
    for item in [r for r in api.rows if r.cls == "forward"] + api.ops:
        name = getattr(item, "symbol", None) or item.name
        if item.number in seen or not 0 < item.number < 1024:
            say(f"operation number {item.number} of {name} repeats {seen.get(item.number, 'or is out of range')}")
        seen[item.number] = name
    symbols = [r.symbol for r in api.rows]
    for symbol in {s for s in symbols if symbols.count(s) > 1}:
        say(f"two rows for {symbol}")
    exported = {r.symbol + s for r in api.rows for s in [""] + ["_" + v for v in r.variants]}
    for base, _, _, symbol in api.versions:
        if symbol not in exported:
            say(f"versions.tsv: {base} leads to {symbol}, which has no row")
    for row in api.rows:
        if row.cls == "forward":
            check_forward(api, row, say)
        if (row.cls == "none") != (row.attrs.get("why") in api.reasons):
            say(f"calls.table:{row.line}: {row.symbol}: a function that is not supported, and only such a one, has the name of a reason (why=)")
    for name in api.reasons.keys() - {row.attrs.get("why") for row in api.rows}:
        say(f"calls.table: no function is refused for the reason {name}")
    for op in api.ops:
        for field in op.request + op.reply:
            if field.type not in SCALARS and field.type not in KINDS and field.type not in ("bytes", "text"):
                say(f"ops.table:{op.line}: type {field.type} has no codec")
            if field.type in ("bytes", "text") and not field.cap:
                say(f"ops.table:{op.line}: {field.name} has no cap")


def check_forward(api, row, say):
    if row.params is None or api.prototype(row) is None:
        say(f"calls.table:{row.line}: {row.symbol} is forwarded but a type of it is not in cuda_types.hpp")
        return
    for param in row.params:
        if param.note in ("out", "out?") and wire_type(api, param.target) is None:
            say(f"calls.table:{row.line}: no codec for {param.type} {param.name}")
        elif not param.note and wire_type(api, param.type) is None and param.type not in HANDLES:
            say(f"calls.table:{row.line}: no codec for {param.type} {param.name}")


def wire_type(api, abi_type):
    """Wire scalar of a plain ABI type or of an enumeration; None if it is neither."""
    if abi_type in PLAIN:
        return PLAIN[abi_type]
    return "u32" if abi_type in api.enums else None


def load(folder):
    folder = pathlib.Path(folder)
    api = Api()
    types = "".join((folder / name).read_text() for name in TYPE_FILES)
    api.types = set(re.findall(r"^(?:using|struct|union|enum) (\w+)", types, re.M))
    api.enums = set(re.findall(r"^using (\w+) = (?:unsigned|CUlaunchAttributeID);", types, re.M))
    load_calls(api, folder / "calls.table")
    load_ops(api, folder / "ops.table")
    api.versions = load_tsv(folder / "versions.tsv")
    api.errors = load_tsv(folder / "errors.tsv")
    check(api)
    return api
