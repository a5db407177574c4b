// SPDX-License-Identifier: Apache-2.0
// The visit of a module's functions, slot 7 of the private table 6e163fbe (docs/design/012-private-tables.md): it
// returns how many there are.
#include <cstring>

#include "tests/conformance/fixtures/objects.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

/// Kernels that store a number of their own, not in the order of the alphabet, and what is no kernel.
const char* const kThree = R"ptx(
.version 7.0
.target sm_70
.address_size 64

.visible .global .align 4 .u32 variable = 17;

.visible .func (.param .b32 p_out) no_kernel(.param .b32 p_in)
{
  .reg .b32 %r<2>;
  ld.param.b32 %r0, [p_in];
  add.u32 %r1, %r0, 1;
  st.param.b32 [p_out], %r1;
  ret;
}

.visible .entry gamma(.param .u64 p_word)
{
  .reg .b32 %r<1>;
  .reg .b64 %rd<2>;
  ld.param.u64 %rd0, [p_word];
  cvta.to.global.u64 %rd1, %rd0;
  mov.u32 %r0, 103;
  st.global.u32 [%rd1], %r0;
  ret;
}

.visible .entry alpha(.param .u64 p_word)
{
  .reg .b32 %r<1>;
  .reg .b64 %rd<2>;
  ld.param.u64 %rd0, [p_word];
  cvta.to.global.u64 %rd1, %rd0;
  mov.u32 %r0, 104;
  st.global.u32 [%rd1], %r0;
  ret;
}

.visible .entry beta(.param .u64 p_word)
{
  .reg .b32 %r<1>;
  .reg .b64 %rd<2>;
  ld.param.u64 %rd0, [p_word];
  cvta.to.global.u64 %rd1, %rd0;
  mov.u32 %r0, 105;
  st.global.u32 [%rd1], %r0;
  ret;
}
)ptx";
const char* const kNone = R"ptx(
.version 7.0
.target sm_70
.address_size 64

.visible .global .align 4 .u32 variable = 17;
)ptx";

using Callback = uint64_t (*)(void* user, CUfunction function);
using Visit = uint64_t (*)(CUcontext, CUmodule, Callback, void* user);

Visit slot() {
  const CUuuid id = {{0x6e, 0x16, 0x3f, 0xbe, 0xb9, 0x58, 0x44, 0x4d, 0x83, 0x5c, 0xe1, 0x82, 0xaf, 0xf1, 0x99, 0x1e}};
  const void* table = nullptr;
  if (CU(cuGetExportTable, &table, &id).code != CUDA_SUCCESS || table == nullptr) skip("the library has no such table");
  uint64_t bytes = 0;
  std::memcpy(&bytes, table, sizeof bytes);
  require(bytes >= 8 * sizeof(void*), "the table has a slot 7");
  Visit visit = nullptr;
  std::memcpy(&visit, static_cast<const uint8_t*>(table) + 7 * sizeof(void*), sizeof visit);
  require(visit != nullptr, "slot 7 is there");
  return visit;
}

/// What a callback saw, and what it returns.
struct Seen {
  std::vector<CUfunction> functions;
  uint64_t answer = 0;
};
uint64_t see(void* user, CUfunction function) {
  Seen& seen = *static_cast<Seen*>(user);
  seen.functions.push_back(function);
  return seen.answer;
}

std::string name_of(CUfunction function) {
  const char* name = nullptr;
  expect_ok(CU(cuFuncGetName, &name, function));
  return name;
}

CASE(export_table, functions_in_the_order_of_the_enumeration) {
  const Visit visit = slot();
  const Context context;
  const Module module(kThree);
  Seen seen;
  expect_equal(visit(context.get(), module.get(), &see, &seen), uint64_t{3}, "the number returned");
  expect_equal(seen.functions.size(), size_t{3}, "the callbacks");
  CUfunction enumerated[3] = {};
  expect_ok(CU(cuModuleEnumerateFunctions, enumerated, 3, module.get()));
  std::string names;
  for (size_t i = 0; i < 3; ++i) {
    require(seen.functions[i] == enumerated[i], "handle " + std::to_string(i) + " is that of the enumeration");
    const std::string name = name_of(seen.functions[i]);
    require(seen.functions[i] == module.function(name.c_str()), name + " is the handle by name");
    CUmodule owner = nullptr;
    expect_ok(CU(cuFuncGetModule, &owner, seen.functions[i]));
    require(owner == module.get(), name + " belongs to the module");
    names += name + " ";
  }
  require(names == "gamma alpha beta ", "they come in the order of the image, not " + names);
}

CASE(export_table, functions_visited_can_be_launched) {
  const Visit visit = slot();
  const Context context;
  const Module module(kThree);
  const DeviceMemory memory(4);
  Seen seen;
  visit(context.get(), module.get(), &see, &seen);
  uint32_t stored = 103;
  for (const CUfunction function : seen.functions) {
    launch(function, {}, {}, nullptr, memory.at());
    expect_equal(memory.word(), stored++, "what was stored by " + name_of(function));
  }
  expect_equal(stored, 106U, "one past the last that was stored");
}

CASE(export_table, functions_of_a_module_without_any) {
  const Visit visit = slot();
  const Context context;
  const Module module(kNone);
  Seen seen;
  expect_equal(visit(context.get(), module.get(), &see, &seen), uint64_t{0}, "the number returned");
  require(seen.functions.empty(), "there is no callback");
}

CASE(export_table, functions_visited_whatever_the_callback_returns) {
  const Visit visit = slot();
  const Context context;
  const Module module(kThree);
  for (const uint64_t answer : {uint64_t{1}, ~uint64_t{0}, uint64_t{700}, uint64_t{1} << 32}) {
    Seen seen{.answer = answer};
    expect_equal(visit(context.get(), module.get(), &see, &seen), uint64_t{3}, "the number returned");
    expect_equal(seen.functions.size(), size_t{3}, "callbacks that return " + std::to_string(answer));
  }
}

CASE(export_table, functions_visited_twice) {
  const Visit visit = slot();
  const Context context;
  const Module module(kThree), other(kVariables);
  Seen first, second;
  expect_equal(visit(context.get(), module.get(), &see, &first), uint64_t{3}, "the number returned");
  expect_equal(visit(context.get(), module.get(), &see, &second), uint64_t{3}, "the number returned again");
  require(first.functions == second.functions, "both visits see the same, and nothing of another module");
}

CASE(export_table, functions_counted_without_a_callback) {
  const Visit visit = slot();
  const Context context;
  const Module none(kNone), one(kNoop), three(kThree);
  expect_equal(visit(context.get(), none.get(), nullptr, nullptr), uint64_t{0}, "the number for a module without any");
  expect_equal(visit(context.get(), one.get(), nullptr, nullptr), uint64_t{1}, "the number for a module with one");
  expect_equal(visit(context.get(), three.get(), nullptr, nullptr), uint64_t{3}, "the number for a module with three");
}

CASE(export_table, functions_visited_without_a_user_pointer) {
  const Visit visit = slot();
  const Context context;
  const Module module(kThree);
  static unsigned calls;
  calls = 0;
  const Callback count = [](void* user, CUfunction) {
    if (user == nullptr) ++calls;
    return uint64_t{0};
  };
  expect_equal(visit(context.get(), module.get(), count, nullptr), uint64_t{3}, "the number returned");
  expect_equal(calls, 3U, "the callbacks with null");
}

CASE(export_table, functions_visited_for_no_context) {
  const Visit visit = slot();
  const Context context;
  const Module module(kThree);
  Seen seen;
  expect_equal(visit(nullptr, module.get(), &see, &seen), uint64_t{3}, "the number returned");
  expect_equal(seen.functions.size(), size_t{3}, "the callbacks");
}

CASE(export_table, functions_visited_while_no_context_is_current) {
  const Visit visit = slot();
  const Context context;
  const Module module(kThree);
  Seen seen;
  expect_ok(CU(cuCtxSetCurrent, nullptr));
  const uint64_t number = visit(context.get(), module.get(), &see, &seen);
  CUcontext current = context.get();
  const Outcome asked = CU(cuCtxGetCurrent, &current);
  expect_ok(CU(cuCtxSetCurrent, context.get()));
  expect_ok(asked);
  require(current == nullptr, "none is current afterwards");
  expect_equal(number, uint64_t{3}, "the number returned");
  expect_equal(seen.functions.size(), size_t{3}, "the callbacks");
  require(seen.functions[1] == module.function("alpha"), "the handle is that by name");
}

CASE(export_table, calls_in_the_callback_of_a_visit) {
  const Visit visit = slot();
  const Context context;
  const Module module(kThree);
  struct Inside {
    CUmodule module;
    CUcontext current = nullptr;
    std::string refused;
    unsigned callbacks = 0;
  } inside{module.get()};
  // Nothing is thrown through the driver: the outcome is judged behind it.
  const Callback ask = [](void* user, CUfunction function) {
    Inside& in = *static_cast<Inside*>(user);
    const char* name = nullptr;
    int value = 0;
    CUfunction alpha = nullptr;
    CUmodule owner = nullptr;
    for (const Outcome& outcome :
         {CU(cuCtxGetCurrent, &in.current), CU(cuFuncGetName, &name, function),
          // It needs the code, which the visit has loaded.
          CU(cuFuncGetAttribute, &value, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, function),
          CU(cuModuleGetFunction, &alpha, in.module, "alpha"), CU(cuFuncGetModule, &owner, function)})
      if (outcome.code != CUDA_SUCCESS)
        in.refused += std::string(outcome.call) + " gave " + describe(outcome.code) + " ";
    ++in.callbacks;
    return uint64_t{0};
  };
  expect_equal(visit(context.get(), module.get(), ask, &inside), uint64_t{3}, "the number returned");
  expect_equal(inside.callbacks, 3U, "the callbacks");
  require(inside.refused.empty(), "all calls in the callbacks succeed: " + inside.refused);
  require(inside.current == context.get(), "the context is current in the callback");
}

}  // namespace
}  // namespace conformance
