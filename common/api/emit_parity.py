"""parity.gen.cpp: proves the tables against cuda.h (compiled only where that header is found)."""
import re
import pathlib

from table import TYPE_FILES


def files(api):
    types = "\n".join((pathlib.Path(__file__).resolve().parent / name).read_text() for name in TYPE_FILES)
    constants = [n for block in re.findall(r"enum : unsigned \{(.*?)\}", types, re.S) for n in re.findall(r"(\w+) =", block)]
    structs = re.findall(r"^struct (\w+) \{(.*?)\n\};", types, re.S | re.M)
    # Some constants are macros there: ours are noted down before that header is seen.
    text = ["#include <cstddef>", "#include <type_traits>", '#include "common/api/cuda_types.hpp"', "",
            "namespace ours {", *[f"constexpr unsigned long long {n}_ = vgpu::cuda::{n};" for n in constants], "}  // namespace ours", "",
            "#define __CUDA_API_VERSION_INTERNAL 1", "#include <cuda.h>", "#include <cudaProfiler.h>", "",
            "// Constants.", *[f'static_assert(ours::{n}_ == static_cast<unsigned long long>({n}), "{n}");' for n in constants], "",
            "// Results.", *[f'static_assert(static_cast<int>(::{name}) == {value}, "{name}");' for value, name, _ in api.errors], "", "// Sizes and offsets."]
    for name, body in structs:
        text.append(f'static_assert(sizeof(vgpu::cuda::{name}) == sizeof(::{name}), "{name}");')
        for declaration in re.findall(r"^\s+(?:alignas\(8\) )?[\w*: ]+?[\s*](\w+(?:, \w+)*)(?:\[\d+\])?;", body, re.M):
            for member in declaration.split(", "):
                if name in ("CUlaunchAttributeValue", "CUlaunchAttribute", "CUuuid", "CUDA_GRAPH_INSTANTIATE_PARAMS", "CUgraphNodeParams", "CUDA_RESOURCE_DESC",
                            "CUmemcpy3DOperand") or member == "reserved":
                    continue
                text.append(f'static_assert(offsetof(vgpu::cuda::{name}, {member}) == offsetof(::{name}, {member}), "{name}::{member}");')
    text += ["", "// Prototypes."]
    for row in api.rows:
        if row.params is None or row.symbol.startswith(("cuGL", "cuEGL", "cuGraphicsGL", "cuGraphicsEGL", "cuVDPAU", "cuGraphicsVDPAU", "cuEventCreateFromEGL", "cuGraphicsResourceGetMappedEgl")):
            continue
        params = ", ".join(p.type for p in row.params)
        text.append(f'static_assert(std::is_same_v<decltype(&::{row.symbol}), CUresult (*)({params})>, "{row.symbol}");')
    yield "tests/wire/parity.gen.cpp", "\n".join(text) + "\n"
