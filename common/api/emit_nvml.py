"""What NVML's table gives: entries and version script of the guest's library, the worker's half of each question, the parity check, the docs."""
import pathlib
import re

from nvml_table import PLAIN, is_text, version_of

MEANING = {"guest": "answered in the guest", "fact": "asked once", "live": "asked each time", "none": "**not supported**"}


def wire(param_type):
    return PLAIN.get(param_type, "uint32_t")


def entry(row):
    """One exported function of the guest's library."""
    if row.cls == "none":
        return f'VGPU_ENTRY nvmlReturn_t {row.symbol}() {{\n  static constinit vgpu::shim::Once once;\n  return not_supported("{row.symbol}", once);\n}}'
    head = f"VGPU_ENTRY {row.returns} {row.symbol}({row.prototype}) {{"
    if row.cls == "guest":
        guard = "" if row.attrs.get("init") == "no" else "  if (!is_initialized()) return NVML_ERROR_UNINITIALIZED;\n"
        return f"{head}\n{guard}  return calls::{row.symbol}({', '.join(p.name for p in row.params)});\n}}"
    lines = [head, f"  Question question({row.number});"]
    if row.devices:
        lines.append(f"  question.ask_of({row.devices[0].name});")
    results = []
    previous = None
    for param in row.params:
        if param.type == "nvmlDevice_t":
            if param is not row.devices[0]:
                lines.append(f"  question.put_device({param.name});")
        elif version_of(param):
            lines.append(f"  question.put_versioned({param.name}, {version_of(param)});")
            results.append(f"  question.take({param.name});")
        elif param.note == "out":
            lines.append(f"  question.need({param.name});")
            results.append(f"  question.take({param.name});")
        elif is_text(param):
            lines.append(f"  question.need({param.name});")
            results.append(f"  question.take_text({param.name}, {'64' if param.note == 'text64' else 'length'});")
        elif not (previous is not None and previous.note == "text"):
            lines.append(f"  question.put(static_cast<{wire(param.type)}>({param.name}));")
        previous = param
    lines.append(f"  if (question.ask(Answered::{'once' if row.cls == 'fact' else 'anew'}) != NVML_SUCCESS) return question.result();")
    return "\n".join(lines + results + ["  return question.result();", "}"])


def question(row):
    """The worker's half: decode, call, encode."""
    lines = [f"nvmlReturn_t ask_{row.symbol}(Library& library, nvmlDevice_t device, wire::Reader& in, wire::Writer& out) {{",
             f"  const auto call = library.functions().{row.symbol};"]
    if not row.devices:
        lines.append("  static_cast<void>(device);")
    checks, arguments, results = ["  if (!in.complete()) return kMalformed;", "  if (call == nullptr) return NVML_ERROR_NOT_SUPPORTED;"], [], []
    previous = None
    for param in row.params:
        name = param.name
        if param.type == "nvmlDevice_t":
            if param is row.devices[0]:
                arguments.append("device")
            else:
                lines += [f"  const auto {name}_index = in.take<uint32_t>();", f"  nvmlDevice_t {name} = nullptr;"]
                checks.append(f"  if (!library.device({name}_index, {name})) return NVML_ERROR_INVALID_ARGUMENT;")
                arguments.append(name)
        elif version_of(param):
            lines += [f"  Roomy<{param.target}> {name};", f"  in.raw(&{name}.value, sizeof {name}.value);"]
            checks.append(f"  if ({name}.value.version != versioned<{param.target}>({version_of(param)})) return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;")
            arguments.append(f"&{name}.value")
            results.append(f"  out.raw(&{name}.value, sizeof {name}.value);")
        elif param.note == "out":
            lines.append(f"  Roomy<{param.target}> {name};")
            arguments.append(f"&{name}.value")
            results.append(f"  out.raw(&{name}.value, sizeof {name}.value);")
        elif is_text(param):
            lines.append(f"  char {name}[kTextRoom] = {{}};")
            arguments.append(name)
            results.append(f"  put_text(out, {name});")
        elif previous is not None and previous.note == "text":
            arguments.append(f"sizeof {previous.name} - 1")
        else:
            lines.append(f"  const auto {name} = in.take<{wire(param.type)}>();")
            arguments.append(name)
        previous = param
    lines += checks
    lines.append(f"  const nvmlReturn_t result = call({', '.join(arguments)});")
    if results:
        lines += ["  if (result != NVML_SUCCESS) return result;"] + results
    return "\n".join(lines + ["  return result;", "}", ""])


def where_known(name, lines):
    """An older header lacks some of what the table names: only what it has is compared (tests/wire/CMakeLists.txt says what that is)."""
    return [f"#ifdef VGPU_HAS_{name}", *lines, "#endif"]


def parity(nvml):
    types = (pathlib.Path(__file__).resolve().parent / "nvml_types.hpp").read_text()
    text = ["#include <cstddef>", "#include <type_traits>", '#include "tests/wire/nvml_names.gen.h"', "#define NVML_NO_UNVERSIONED_FUNC_DEFS", "#include <nvml.h>", '#include "common/api/nvml_types.hpp"', "",
            "// Results."]
    for name, value in re.findall(r"^  (NVML_\w+) = (\d+),", types, re.M):
        text += where_known(name, [f'static_assert(static_cast<int>(::{name}) == {value}, "{name}");'])
    text += ["", "// Sizes and offsets."]
    for name, body in re.findall(r"^struct (\w+) \{(.*?)\n\};", types, re.S | re.M):
        members = re.findall(r"(\w+)(?:\[\w+\])?;", body)
        text += where_known(name, [f'static_assert(sizeof(vgpu::nvml::{name}) == sizeof(::{name}), "{name}");',
                                   *[f'static_assert(offsetof(vgpu::nvml::{name}, {m}) == offsetof(::{name}, {m}), "{name}::{m}");' for m in members]])
    text += ["", "// Prototypes; none where the header does not know the version of a structure that the table names."]
    for row in [r for r in nvml.typed if r.attrs.get("header") != "no"]:
        parameters = ", ".join(p.type for p in row.params)
        returns = "const char*" if row.returns == "const char*" else "::nvmlReturn_t"
        check = [f'static_assert(std::is_same_v<decltype(&::{row.symbol}), {returns} (*)({parameters})>, "{row.symbol}");']
        versioned_types = {p.target for p in row.params if p.type.endswith("*") and re.search(r"_v\d_t$", p.target)}
        for name in sorted(versioned_types):
            check = where_known(name, check)
        text += where_known(row.symbol, check)
    return "\n".join(text) + "\n"


def docs(nvml):
    counts = {cls: sum(r.cls == cls for r in nvml.rows) for cls in MEANING}
    lines = ["# NVML calls", "", "Generated from `common/api/nvml.table` by `common/api/generate.py --docs`; do not edit.", "",
             f"`libnvidia-ml.so.1` exports {len(nvml.rows)} functions: " + ", ".join(f"{n} {MEANING[c].strip('*')}" for c, n in counts.items()) + ".",
             "A function that is not supported returns NVML_ERROR_NOT_SUPPORTED (3) and is named once on standard error; before nvmlInit every function returns NVML_ERROR_UNINITIALIZED (1).",
             "[design/009-nvml.md](design/009-nvml.md) says why.", "", "| function | what happens |", "|---|---|"]
    return "\n".join(lines + [f"| {r.symbol} | {MEANING[r.cls]} |" for r in nvml.rows]) + "\n"


def files(nvml):
    text = ["#pragma once", '#include "common/api/nvml_types.hpp"', "", "namespace vgpu::nvml {", "",
            "/// The functions of one opened NVML, of those that have a row with parameters; null where it lacks the symbol.", "struct Functions {"]
    text += [f"  {r.returns} (*{r.symbol})({r.prototype}) = nullptr;" for r in nvml.typed]
    text += ["};", "", "/// Calls visit(symbol, slot) for every function.", "template <typename Visit>", "void for_each_function(Functions& functions, Visit visit) {"]
    text += [f'  visit("{r.symbol}", reinterpret_cast<void**>(&functions.{r.symbol}));' for r in nvml.typed]
    text += ["}", "", "}  // namespace vgpu::nvml", ""]
    yield "common/api/nvml_functions.gen.hpp", "\n".join(text)

    guest = [r for r in nvml.rows if r.cls == "guest"]
    text = ["#pragma once", '#include "common/api/nvml_types.hpp"', "", "// What the entries call: `guest` rows, written by hand.", "namespace vgpu::shim::nvml::calls {", "using namespace ::vgpu::nvml;"]
    text += [f"{r.returns} {r.symbol}({r.prototype});" for r in guest]
    text += ["}  // namespace vgpu::shim::nvml::calls", ""]
    yield "shim/nvml/calls.gen.hpp", "\n".join(text)

    text = ['#include "shim/nvml/calls.gen.hpp"', '#include "shim/nvml/entry.hpp"', '#include "shim/nvml/question.hpp"', "", "using namespace vgpu::nvml;", "using namespace vgpu::shim::nvml;", ""]
    yield "shim/nvml/entries.gen.cpp", "\n".join(text + [entry(r) for r in nvml.rows]) + "\n"
    yield "shim/nvml/nvml.map", "{\n  global:\n" + "".join(f"    {r.symbol};\n" for r in nvml.rows) + "  local: *;\n};\n"

    text = ['#include "worker/nvml/questions.hpp"', "", "namespace vgpu::worker::nvml {", "namespace {", ""]
    text += [question(r) for r in nvml.asked]
    text += ["constexpr Question kQuestions[] = {"]
    text += [f'    {{{r.number}, "{r.symbol}", {str(bool(r.devices)).lower()}, &ask_{r.symbol}}},' for r in nvml.asked]
    text += ["};", "", "}  // namespace", "", "const Question* find_question(uint32_t number) {", "  for (const Question& question : kQuestions)", "    if (question.number == number) return &question;",
             "  return nullptr;", "}", "", "}  // namespace vgpu::worker::nvml", ""]
    yield "worker/nvml/questions.gen.cpp", "\n".join(text)
    text = ["#pragma once", "#include <cstdint>", "", "namespace vgpu::nvml {", "", "/// Numbers of questions that are asked by hand.", "enum class Question : uint32_t {"]
    text += [f"  {r.symbol} = {r.number}," for r in nvml.rows if r.number]
    text += ["};", "", "}  // namespace vgpu::nvml", ""]
    yield "common/api/nvml_questions.gen.hpp", "\n".join(text)
    yield "tests/wire/nvml_parity.gen.cpp", parity(nvml)
