// SPDX-License-Identifier: Apache-2.0
// The child process: runs the cases it was given, one after the other, and reports each on a pipe.
#pragma once

#include <string>
#include <vector>

namespace conformance {

/// Descriptor on which a child reports; lines "begin<TAB>name" and "end<TAB>name<TAB>status<TAB>detail".
inline constexpr int kReportDescriptor = 3;

/// Returns the exit status of the child. It ends after the first case that does not pass: its state is then unknown.
int run_child(const std::string& libcuda, const std::vector<std::string>& names);

/// Whether this child runs several cases, so that fixtures should keep the primary context alive between them.
bool is_shared_process();

}  // namespace conformance
