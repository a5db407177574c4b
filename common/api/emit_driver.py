"""prototypes.gen.hpp: function types of the ABI; driver.gen.hpp: a table of the functions of an opened driver; errors.gen.inc; versions.gen.inc."""


def files(api):
    rows = [(r, api.prototype(r)) for r in api.rows]
    rows = [(r, p) for r, p in rows if p is not None]
    text = ["#pragma once", '#include "common/api/cuda_types.hpp"', "", "// Function types, by exported symbol. A per-thread variant (_ptsz, _ptds) has the type of its base.", "namespace vgpu::cuda::proto {"]
    text += [f"using {r.symbol} = CUresult({p});" for r, p in rows]
    text += ["}  // namespace vgpu::cuda::proto", ""]
    yield "common/api/prototypes.gen.hpp", "\n".join(text)

    text = ["#pragma once", '#include "common/api/prototypes.gen.hpp"', "", "namespace vgpu::cuda {", "",
            "/// The functions of one opened driver library; null where it lacks the symbol.", "struct DriverTable {"]
    text += [f"  proto::{r.symbol}* {r.symbol} = nullptr;" for r, _ in rows]
    text += ["};", "", "/// Calls visit(symbol, slot) for every function of the table.", "template <typename Visit>", "void for_each_function(DriverTable& table, Visit visit) {"]
    text += [f'  visit("{r.symbol}", reinterpret_cast<void**>(&table.{r.symbol}));' for r, _ in rows]
    text += ["}", "", "}  // namespace vgpu::cuda", ""]
    yield "common/api/driver.gen.hpp", "\n".join(text)

    yield "common/api/errors.gen.inc", "".join(f'{{{value}, "{name}", "{words}"}},\n' for value, name, words in api.errors)
    rows = sorted(api.versions, key=lambda v: (v[0], v[1], int(v[2])))
    yield "common/api/versions.gen.inc", "".join(f'{{"{base}", {"true" if flag == "thread" else "false"}, {since}, "{symbol}", reinterpret_cast<void*>(&::{symbol})}},\n' for base, flag, since, symbol in rows)
