// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/harness/child_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "tests/conformance/harness/child.hpp"
#include "tests/conformance/harness/standing.hpp"

namespace conformance {
namespace {

// A killed child that sits in the kernel for longer than this is left behind as a zombie.
constexpr int kReapMilliseconds = 10'000;

std::vector<std::string> split_at_tabs(const std::string& line) {
  std::vector<std::string> fields(1);
  for (const char c : line) {
    if (c == '\t') {
      fields.emplace_back();
    } else {
      fields.back() += c;
    }
  }
  return fields;
}

std::string describe_exit(int status) {
  if (WIFSIGNALED(status)) {
    const int number = WTERMSIG(status);
    return "killed by signal " + std::to_string(number) + " (" + strsignal(number) + ")";
  }
  if (WEXITSTATUS(status) != 0) return "the process ended with status " + std::to_string(WEXITSTATUS(status));
  return {};
}

bool wait_for_exit(pid_t pid, int milliseconds) {
  const vgpu::base::UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd) return true;  // an old kernel: waitpid alone
  pollfd polled{pidfd.get(), POLLIN, 0};
  int count = 0;
  do {
    count = poll(&polled, 1, milliseconds);
  } while (count < 0 && errno == EINTR);
  return count > 0;
}

}  // namespace

ChildProcess::~ChildProcess() {
  if (pid_ > 0) {
    kill();
    reap();
  }
}

bool ChildProcess::start(const std::string& libcuda, const std::vector<std::string>& cases) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return false;
  reports_.reset(ends[0]);
  const vgpu::base::UniqueFd write_end(ends[1]);
  output_.reset(memfd_create("case-output", MFD_CLOEXEC));
  if (!output_) return false;

  std::vector<std::string> words = {program_invocation_short_name, "--child", "--libcuda", libcuda};
  for (const auto& name : cases) words.insert(words.end(), {"--case", name});
  std::vector<char*> arguments;
  for (auto& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output_.get(), 1);
  posix_spawn_file_actions_adddup2(&actions, output_.get(), 2);
  posix_spawn_file_actions_adddup2(&actions, write_end.get(), kReportDescriptor);
  const int error = posix_spawn(&pid_, "/proc/self/exe", &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) pid_ = -1, reports_.reset();
  return error == 0;
}

std::vector<std::vector<std::string>> ChildProcess::read_reports() {
  char buffer[16384];
  const ssize_t got = read(reports_.get(), buffer, sizeof buffer);
  if (got < 0 && errno == EINTR) return {};
  if (got <= 0) {
    reports_.reset();
    return {};
  }
  partial_.append(buffer, static_cast<size_t>(got));
  std::vector<std::vector<std::string>> lines;
  for (size_t end = partial_.find('\n'); end != std::string::npos; end = partial_.find('\n')) {
    lines.push_back(split_at_tabs(partial_.substr(0, end)));
    partial_.erase(0, end + 1);
  }
  return lines;
}

void ChildProcess::ask_where_threads_stand() {
  if (pid_ > 0) ::kill(pid_, kAskWhereThreadsStand);
}

void ChildProcess::kill() {
  if (pid_ > 0) ::kill(pid_, SIGKILL);
}

std::string ChildProcess::reap() {
  reports_.reset();
  if (pid_ <= 0) return {};
  const pid_t pid = std::exchange(pid_, -1);
  if (!wait_for_exit(pid, kReapMilliseconds)) {
    ::kill(pid, SIGKILL);
    if (!wait_for_exit(pid, kReapMilliseconds)) return "the process cannot be killed";
  }
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return describe_exit(status);
}

std::string ChildProcess::output() const {
  constexpr off_t kTail = 8000;
  const off_t size = lseek(output_.get(), 0, SEEK_END);
  std::string text(static_cast<size_t>(std::clamp<off_t>(size, 0, kTail)), '\0');
  const ssize_t got = pread(output_.get(), text.data(), text.size(), std::max<off_t>(size - kTail, 0));
  text.resize(got > 0 ? static_cast<size_t>(got) : 0);
  return text;
}

}  // namespace conformance
