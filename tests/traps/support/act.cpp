// SPDX-License-Identifier: Apache-2.0
#include "tests/traps/support/act.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <map>

#include "tests/conformance/harness/driver.hpp"
#include "tests/conformance/harness/standing.hpp"
#include "tests/traps/support/crew.hpp"

namespace traps {
namespace {

bool leak_check_is_off = false;

std::map<std::string, Act>& acts() {
  static std::map<std::string, Act> all;  // filled by initialisers of other files, in any order
  return all;
}

using Clock = std::chrono::steady_clock;

int milliseconds_until(Clock::time_point end) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
  return left > 0 ? static_cast<int>(left) : 0;
}

}  // namespace
}  // namespace traps

// Asked by LeakSanitizer when the process ends.
extern "C" __attribute__((visibility("default"))) int __lsan_is_turned_off() {
  return traps::leak_check_is_off ? 1 : 0;
}

namespace traps {

void end_with_all_that_is_held() { leak_check_is_off = true; }

bool add_act(const char* name, Act act) { return acts().emplace(name, act).second; }

int run_act(const std::vector<std::string>& words) {
  const auto found = words.size() < 2 ? acts().end() : acts().find(words[0]);
  if (found == acts().end()) {
    std::fprintf(stderr, "there is no such act\n");
    return 2;
  }
  end_with_all_that_is_held();
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  tell_where_threads_stand_when_asked();
  try {
    return found->second(words[1], {words.begin() + 2, words.end()});
  } catch (const std::exception& thrown) {
    std::fprintf(stderr, "%s\n", thrown.what());
    return 1;
  }
}

int play(const std::string& libcuda, void (*body)(const std::vector<std::string>& words),
         const std::vector<std::string>& words) {
  std::string error;
  if (!open_driver(libcuda, error)) {
    std::fprintf(stderr, "%s\n", error.c_str());
    return 2;
  }
  expect_ok(CU(cuInit, 0));
  body(words);
  return 0;
}

std::vector<std::string> command_of(const char* act, const std::vector<std::string>& words) {
  std::vector<std::string> command = {"vgpu-traps", "--act", act, library_path()};
  command.insert(command.end(), words.begin(), words.end());
  return command;
}

Player::Player(const char* act, const std::vector<std::string>& words) {
  int to[2], from[2];
  require(pipe2(to, O_CLOEXEC) == 0, "a pipe");
  const vgpu::base::UniqueFd child_reads(to[0]);
  input_.reset(to[1]);
  require(pipe2(from, O_CLOEXEC) == 0, "a pipe");
  const vgpu::base::UniqueFd child_writes(from[1]);
  output_.reset(from[0]);
  errors_.reset(memfd_create("act-errors", MFD_CLOEXEC));

  auto command = command_of(act, words);
  std::vector<char*> arguments;
  for (auto& word : command) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, child_reads.get(), 0);
  posix_spawn_file_actions_adddup2(&actions, child_writes.get(), 1);
  posix_spawn_file_actions_adddup2(&actions, errors_.get(), 2);
  const int error = posix_spawn(&pid_, "/proc/self/exe", &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  require(error == 0, "a process for an act");
}

Player::~Player() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

bool Player::read_more(int milliseconds) {
  pollfd polled{output_.get(), POLLIN, 0};
  if (poll(&polled, 1, milliseconds) <= 0) return false;
  char buffer[1024];
  const ssize_t got = read(output_.get(), buffer, sizeof buffer);
  if (got > 0) unread_.append(buffer, static_cast<size_t>(got));
  return got > 0;
}

void Player::expect_line(const std::string& wanted, Where where) {
  const auto end = Clock::now() + kPatience;
  while (unread_.find('\n') == std::string::npos) {
    if (!read_more(milliseconds_until(end)))
      fail("the act does not say \"" + wanted + "\", but ends or is silent; it complained: " + errors(), where);
  }
  const std::string line = unread_.substr(0, unread_.find('\n'));
  unread_.erase(0, line.size() + 1);
  require(line == wanted, "the act says \"" + wanted + "\" (it said \"" + line + "\")", where);
}

void Player::say(const std::string& line) {
  const std::string text = line + "\n";
  require(write(input_.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()), "the act listens");
}

Player::End Player::end(Where where) {
  const auto deadline = Clock::now() + kPatience;
  while (read_more(milliseconds_until(deadline))) {
  }
  int status = 0;
  while (waitpid(pid_, &status, WNOHANG) == 0) {
    if (Clock::now() > deadline) {
      kill(pid_, kAskWhereThreadsStand);
      comes_true([this, &status] { return waitpid(pid_, &status, WNOHANG) != 0; }, std::chrono::seconds(5));
      fail("the act does not end; " + errors(), where);
    }
    comes_true([] { return false; }, std::chrono::milliseconds(1));
  }
  pid_ = -1;
  if (WIFSIGNALED(status)) return {std::string("killed by a signal: ") + strsignal(WTERMSIG(status)), errors()};
  if (WEXITSTATUS(status) != 0) return {"exit status " + std::to_string(WEXITSTATUS(status)), errors()};
  return {"", errors()};
}

void Player::expect_quiet_end(Where where) {
  const End how = end(where);
  require(how.how.empty() && how.errors.empty(),
          "a quiet end with status 0 (it was: " + how.how + " " + how.errors + ")", where);
}

std::string Player::errors() const {
  char text[4000];
  const ssize_t got = pread(errors_.get(), text, sizeof text, 0);
  return {text, got > 0 ? static_cast<size_t>(got) : 0};
}

std::string hear() {
  std::string line;
  for (char c = 0; read(STDIN_FILENO, &c, 1) == 1 && c != '\n';) line += c;
  return line;
}

void tell(const char* line) {
  std::puts(line);
  std::fflush(stdout);
}

}  // namespace traps
