// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/harness/check.hpp"

#include <cstring>
#include <mutex>
#include <utility>

namespace conformance {
namespace {

struct ErrorName {
  int code;
  const char* name;
  const char* text;
};
constexpr ErrorName kErrors[] = {
#include "common/api/errors.gen.inc"
};

// Cases observe from the threads they start, too.
std::mutex observed_lock;
std::string observed;

}  // namespace

std::string describe(CUresult code) {
  for (const auto& error : kErrors) {
    if (error.code == code) return std::to_string(code) + " " + error.name;
  }
  return std::to_string(code) + " (no known error)";
}

void fail(const std::string& why, Where where) {
  const char* slash = std::strrchr(where.file_name(), '/');
  throw Failure(std::string(slash != nullptr ? slash + 1 : where.file_name()) + ":" + std::to_string(where.line()) +
                ": " + why);
}

void skip(const std::string& why) { throw Skip(why); }

void observe(const std::string& what) {
  const std::scoped_lock hold(observed_lock);
  if (!observed.empty()) observed += "; ";
  observed += what;
}

std::string take_observed() {
  const std::scoped_lock hold(observed_lock);
  return std::exchange(observed, {});
}

void expect_ok(Outcome outcome, Where where) { expect(outcome, CUDA_SUCCESS, where); }

void expect(Outcome outcome, CUresult wanted, Where where) {
  if (outcome.code == wanted) return;
  fail(std::string(outcome.call) + " gave " + describe(outcome.code) + ", expected " + describe(wanted), where);
}

CUresult expect_one_of(Outcome outcome, std::initializer_list<CUresult> wanted, Where where) {
  std::string names;
  for (const CUresult code : wanted) {
    if (outcome.code == code) {
      observe(std::string(outcome.call) + "=" + std::to_string(code));
      return code;
    }
    names += (names.empty() ? "" : ", ") + describe(code);
  }
  fail(std::string(outcome.call) + " gave " + describe(outcome.code) + ", expected one of " + names, where);
}

void require(bool condition, std::string_view what, Where where) {
  if (!condition) fail("not true: " + std::string(what), where);
}

void missing_symbol(const char* name) { throw Failure(std::string("the library does not export ") + name); }

}  // namespace conformance
