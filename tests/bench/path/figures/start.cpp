// SPDX-License-Identifier: Apache-2.0
// From nothing to a working client: a process is started, and says when it got there.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "common/base/unique_fd.hpp"
#include "tests/bench/measure/clock.hpp"
#include "tests/bench/path/figure.hpp"

namespace bench {
namespace {

constexpr int kPatienceMs = 60'000;
constexpr size_t kFewest = 3;

/// Reads the child's one line within the time limit: the moment it got there, by the clock of now_ns().
uint64_t read_moment(int from) {
  char line[64] = {};
  size_t length = 0;
  const uint64_t deadline = now_ns() + uint64_t{kPatienceMs} * 1'000'000;
  while (std::memchr(line, '\n', length) == nullptr && length < sizeof line - 1) {
    const uint64_t now = now_ns();
    pollfd wait{from, POLLIN, 0};
    if (now >= deadline || ::poll(&wait, 1, static_cast<int>((deadline - now) / 1'000'000) + 1) == 0)
      throw Failed("a client that was started did not say anything in time");
    const ssize_t got = ::read(from, line + length, sizeof line - 1 - length);
    if (got <= 0) throw Failed("a client that was started ended without a result");
    length += static_cast<size_t>(got);
  }
  return std::strtoull(line, nullptr, 10);
}

/// A process of this program, killed and reaped at the end if it has not ended by itself.
class Child {
 public:
  Child(const char* as, int output) {
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, output, 1);
    const char* arguments[] = {"vgpu-bench", as, nullptr};
    const int error =
        ::posix_spawn(&pid_, "/proc/self/exe", &actions, nullptr, const_cast<char* const*>(arguments), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    if (error != 0) throw Failed(std::string("cannot start a client: ") + std::strerror(error));
  }
  ~Child() {
    if (!reaped_) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  /// It has said what it had to say: waits for its end.
  void reap() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    reaped_ = true;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) throw Failed("a client that was started did not end cleanly");
  }

 private:
  pid_t pid_ = 0;
  bool reaped_ = false;
};

/// One value per process: nanoseconds from before its start to what it says.
class Start : public Figure {
 public:
  explicit Start(const char* as) : as_(as) {}

  Samples measure(double seconds) override {
    Samples samples;
    const uint64_t end = now_ns() + seconds_to_ns(seconds);
    do {
      samples.push_back(start_one());
    } while (now_ns() < end || samples.size() < kFewest);
    return samples;
  }

 private:
  double start_one() const {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw Failed("no pipe");
    const vgpu::base::UniqueFd ours(ends[0]);
    vgpu::base::UniqueFd theirs(ends[1]);
    const uint64_t begun = now_ns();
    Child child(as_, theirs.get());
    theirs.reset();
    const uint64_t moment = read_moment(ours.get());
    child.reap();
    return static_cast<double>(moment - begun);
  }

  const char* const as_;
};

std::unique_ptr<Figure> make_first_call(const Device&, const Conditions&) {
  return std::make_unique<Start>("--first-call");
}
std::unique_ptr<Figure> make_first_result(const Device&, const Conditions&) {
  return std::make_unique<Start>("--first-result");
}

}  // namespace

std::vector<FigureKind> start_figures() {
  return {{"first_call", "ns", "less", false, make_first_call},
          {"first_result", "ns", "less", false, make_first_result}};
}

}  // namespace bench
