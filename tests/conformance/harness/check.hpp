// SPDX-License-Identifier: Apache-2.0
// What a case may say about the calls it made. A broken expectation throws: a case ends at its first one.
#pragma once

#include <initializer_list>
#include <source_location>
#include <stdexcept>
#include <string>
#include <string_view>

#include "common/api/cuda_types.hpp"
#include "tests/conformance/harness/driver.hpp"

namespace conformance {

using namespace vgpu::cuda;

/// One call that was made, and what it returned. Made by the macro CU.
struct Outcome {
  const char* call;
  CUresult code;
};

/// Calls a function of the driver under test; a symbol that the library lacks fails the case.
#define CU(function, ...) \
  (::conformance::Outcome{#function, ::conformance::loaded(::conformance::driver().function, #function)(__VA_ARGS__)})

struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};
struct Skip : std::runtime_error {
  using std::runtime_error::runtime_error;
};

using Where = std::source_location;

/// Ends the case as failed.
[[noreturn]] void fail(const std::string& why, Where where = Where::current());
/// Ends the case as skipped: the device or the library cannot do what the case needs.
[[noreturn]] void skip(const std::string& why);
/// Adds to the observed detail of the running case.
void observe(const std::string& what);
/// "1 CUDA_ERROR_INVALID_VALUE"
std::string describe(CUresult code);

void expect_ok(Outcome outcome, Where where = Where::current());
void expect(Outcome outcome, CUresult wanted, Where where = Where::current());
/// Accepts a documented set where it is not known which of them the driver gives; the observed one goes to the detail.
CUresult expect_one_of(Outcome outcome, std::initializer_list<CUresult> wanted, Where where = Where::current());
void require(bool condition, std::string_view what, Where where = Where::current());

template <typename A, typename B>
void expect_equal(const A& actual, const B& wanted, std::string_view what, Where where = Where::current()) {
  if (!(actual == wanted)) {
    fail(std::string(what) + " is " + std::to_string(actual) + ", expected " + std::to_string(wanted), where);
  }
}

/// Takes what was observed since the last call of this; used by the runner between cases.
std::string take_observed();

/// Throws the failure that names a symbol which the library does not export.
[[noreturn]] void missing_symbol(const char* name);

template <typename Function>
Function* loaded(Function* function, const char* name) {
  if (function == nullptr) missing_symbol(name);
  return function;
}

}  // namespace conformance
