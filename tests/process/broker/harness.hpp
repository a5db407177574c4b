// A broker under test in a folder of its own, and the client's side of a channel. Every wait has a deadline.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "common/abi/window_layout.h"
#include "common/control/client.hpp"

namespace vgpu::test {

/// Generous: the machines that run tests are busy.
control::Deadline soon();
/// Asks `condition` again and again until it holds or soon() has passed.
bool eventually(const std::function<bool()>& condition);

class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// A process of which we read the standard error (and output).
class Process {
 public:
  Process(const std::vector<std::string>& command, const std::vector<std::string>& environment = {});
  ~Process();  // kills it
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  /// True once its output has a line containing `text`, counted from the start.
  bool says(const std::string& text);
  /// All it has said up to now.
  const std::string& output();
  void signal(int number);
  /// Waits for its end; the exit code, or -1 if it does not end or died of a signal. Its output is then complete.
  int wait();

 private:
  pid_t pid_ = -1;
  base::UniqueFd output_fd_;
  std::string output_;
};

class TestBroker {
 public:
  /// Starts a broker with the fake worker and `config` (lines of TOML), and waits until it listens.
  explicit TestBroker(const std::string& config = "");

  TemporaryFolder folder;
  std::string socket;

 private:
  std::vector<std::string> command_;

 public:
  Process process;

  /// The command that started it: for another one in its place.
  const std::vector<std::string>& command() const { return command_; }
  std::size_t descriptor_count() const;
  std::vector<pid_t> children() const;  // zombies included
};

std::string broker_path();
std::string fake_worker_path();

/// A connected client with its window mapped.
class TestClient {
 public:
  explicit TestClient(const std::string& socket);
  ~TestClient();
  TestClient(const TestClient&) = delete;
  TestClient& operator=(const TestClient&) = delete;

  vgpu_control& control() { return *reinterpret_cast<vgpu_control*>(window_); }
  vgpu_slot& slot(unsigned index);
  /// Has the fake worker do something.
  void order(const std::string& text);
  /// The same for an order after which it goes on; waits until it has been done.
  void order_and_wait(const std::string& text);
  const char* heap() const { return window_ + VGPU_HEAP_OFFSET; }

  control::Connection connection;

 private:
  char* window_ = nullptr;
};

control::Hello hello_for_test();
/// A connected stream socket, nothing said yet.
base::UniqueFd connect_raw(const std::string& socket);
/// The broker's answer on a raw connection.
base::Result<control::HelloReply> read_reply(int socket);
bool is_process_alive(pid_t pid);

}  // namespace vgpu::test
