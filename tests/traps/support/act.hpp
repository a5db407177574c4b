// SPDX-License-Identifier: Apache-2.0
// Acts: small programs of their own that cases run as other processes, for what cannot be tried within one: how a
// program ends, what a second client does. An act is this executable again, with nothing of CUDA opened.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "common/base/unique_fd.hpp"
#include "tests/conformance/harness/check.hpp"

namespace traps {

using namespace conformance;

/// Takes the words of its command line, gives the exit status; a failed expectation gives 1, and its text on standard
/// error. It opens the library itself, or calls play().
using Act = int (*)(const std::string& libcuda, const std::vector<std::string>& words);

bool add_act(const char* name, Act act);
/// The main() of an act: `words` are the name of the act, the library, and what it is told.
int run_act(const std::vector<std::string>& words);
/// Opens the library, initialises it and runs the body.
int play(const std::string& libcuda, void (*body)(const std::vector<std::string>& words),
         const std::vector<std::string>& words);

/// The command line of an act, for exec.
std::vector<std::string> command_of(const char* act, const std::vector<std::string>& words);

/// An act in its own process.
class Player {
 public:
  explicit Player(const char* act, const std::vector<std::string>& words = {});
  Player(const Player&) = delete;
  Player& operator=(const Player&) = delete;
  ~Player();  ///< kills it if it is still there
  /// Waits for this line on its standard output; fails the case if anything else comes, or nothing.
  void expect_line(const std::string& wanted, Where where = Where::current());
  /// Writes a line to its standard input.
  void say(const std::string& line);
  pid_t pid() const { return pid_; }

  struct End {
    std::string how;  ///< "" for status 0, else a phrase
    std::string errors;
  };
  /// Waits for its end; fails the case if it does not come.
  End end(Where where = Where::current());
  /// The end of a program that has nothing to complain about.
  void expect_quiet_end(Where where = Where::current());

 private:
  bool read_more(int milliseconds);
  std::string errors() const;

  pid_t pid_ = -1;
  vgpu::base::UniqueFd input_, output_, errors_;
  std::string unread_;
};

/// For processes that end on purpose with all that they hold: a leak checker need not look at them.
void end_with_all_that_is_held();

/// Reads a line from standard input; what acts wait for with it.
std::string hear();
/// Writes a line to standard output, at once.
void tell(const char* line);

}  // namespace traps

#define ACT(name)                                                                              \
  static int act_##name(const std::string& libcuda, const std::vector<std::string>& words);    \
  [[maybe_unused]] static const bool act_##name##_added = ::traps::add_act(#name, act_##name); \
  static int act_##name([[maybe_unused]] const std::string& libcuda,                           \
                        [[maybe_unused]] const std::vector<std::string>& words)
