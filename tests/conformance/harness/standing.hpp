// SPDX-License-Identifier: Apache-2.0
// Where the threads of a case stand: what a missed deadline is reported with.
#pragma once

#include <signal.h>

namespace conformance {

inline constexpr int kAskWhereThreadsStand = SIGQUIT;

/// From now on this signal makes the process write on standard error, for every thread: its name, what the case last
/// said of it, and its stack as far as it can be unwound. Then the process ends.
void tell_where_threads_stand_when_asked();

/// What the calling thread is about to do; the text must live as long as the thread does.
void stands_at(const char* place);

}  // namespace conformance
