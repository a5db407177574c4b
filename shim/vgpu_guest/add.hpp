// The field's test program: two numbers, added on the host's GPU by a legacy request.
#pragma once

#include "shim/vgpu_guest/legacy_test.hpp"
#include "shim/vgpu_guest/options.hpp"

namespace vgpu::guest {

/// Asks, prints the sum or the field's error line, and returns an exit code.
int show_sum(const Options& options);

/// For standard output, in the field's words; of a failure nothing.
std::string sum_text(const LegacyVerdict& verdict);
/// For standard error: the error line, its cause and its remedy.
std::string failure_text(const LegacyVerdict& verdict);
std::string sum_json(const LegacyVerdict& verdict);

}  // namespace vgpu::guest
