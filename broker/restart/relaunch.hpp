// Relaunch: the broker becomes a fresh run of its program, in the same process (decision 23). Its listening socket and
// lock go along, so nobody is refused meanwhile; everything else is taken back as after a crash.
#pragma once

#include <csignal>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "common/base/listen_socket.hpp"
#include "common/base/result.hpp"

namespace vgpu::broker::restart {

/// The signals that the broker obeys.
inline constexpr std::initializer_list<int> kSignals = {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2};

/// Puts them off, and lets them in: a relaunched run starts with them put off.
void hold_signals(bool hold);

class Relaunch {
 public:
  /// Prepares for the same program with these arguments. The program's file is asked for now: an upgrade puts another
  /// one in its place.
  explicit Relaunch(const std::vector<std::string>& arguments);
  Relaunch(const Relaunch&) = delete;
  Relaunch& operator=(const Relaunch&) = delete;

  const std::string& program() const { return program_; }
  /// What execute() of the earlier run handed to this one, if it was one.
  const std::optional<base::ListenSocket::Descriptors>& inherited() const { return inherited_; }
  /// Returns only if it fails, an errno, and then everything is as it was. Allocates nothing: it is also the way out
  /// when there is no memory.
  int execute(const base::ListenSocket::Descriptors& socket);

 private:
  std::optional<base::ListenSocket::Descriptors> inherited_;
  std::string program_;
  std::vector<std::string> arguments_;
  std::vector<char*> argv_;
};

}  // namespace vgpu::broker::restart
