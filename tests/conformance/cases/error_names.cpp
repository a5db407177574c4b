// SPDX-License-Identifier: Apache-2.0
// Names and texts of errors, as a 580 driver gives them.
#include <cstring>

#include "tests/conformance/fixtures/objects.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

struct Known {
  int code;
  const char* name;
  const char* text;
};
constexpr Known kKnown[] = {
#include "common/api/errors.gen.inc"
};

UNINITIALISED_CASE(errors, names) {
  for (const Known& known : kKnown) {
    const char* name = nullptr;
    expect_ok(CU(cuGetErrorName, static_cast<CUresult>(known.code), &name));
    require(name != nullptr && std::strcmp(name, known.name) == 0,
            std::string("the name is ") + known.name + " and not " + (name ? name : "null"));
  }
}
UNINITIALISED_CASE(errors, texts) {
  for (const Known& known : kKnown) {
    const char* text = nullptr;
    expect_ok(CU(cuGetErrorString, static_cast<CUresult>(known.code), &text));
    require(text != nullptr && std::strcmp(text, known.text) == 0,
            std::string("the text is '") + known.text + "' and not '" + (text ? text : "null") + "'");
  }
}
CASE(errors, unknown_code) {
  for (const int code : {-1, 9, 12345, 0x7fffffff}) {
    const char* text = "untouched";
    expect(CU(cuGetErrorName, static_cast<CUresult>(code), &text), CUDA_ERROR_INVALID_VALUE);
    require(text == nullptr, "an unknown code has no name");
    text = "untouched";
    expect(CU(cuGetErrorString, static_cast<CUresult>(code), &text), CUDA_ERROR_INVALID_VALUE);
    require(text == nullptr, "an unknown code has no text");
  }
}
// The driver does not check the place for the name or text: with null it crashes, so no case asks for it.

}  // namespace
}  // namespace conformance
