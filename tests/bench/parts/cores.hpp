// SPDX-License-Identifier: Apache-2.0
// Which cores the two sides of a measurement run on.
#pragma once

namespace bench {

/// Two processors that we may use, best on different cores; the same one twice where there is no other.
struct Cores {
  int program = 0;
  int worker = 0;
  bool distinct() const { return program != worker; }
};

/// Chosen at the first call, which comes before anybody is pinned.
const Cores& cores();
/// The calling thread stays on this processor from now on.
void pin_to(int processor);

}  // namespace bench
