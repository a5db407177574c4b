// What vgpu-guestd says of itself at its status socket, read and taken apart.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/base/result.hpp"

namespace vgpu::guest {

struct ChannelReport {
  uint32_t number = 0;
  std::string state;
  int pid = 0;
  unsigned uid = 0;
  uint64_t client = 0;
  uint64_t offset = 0;
  uint32_t exit_word = 0;
  std::string name;
};

struct DaemonReport {
  std::map<std::string, std::string> words;
  std::vector<ChannelReport> channels;

  std::string word(const std::string& key) const;
  uint64_t number(const std::string& key) const;
};

/// Asks the vgpu-guestd whose clients' socket is `socket`. The error says what to do.
base::Result<DaemonReport> ask_daemon(const std::string& socket);
/// Lines of "key value" up to "end"; an error if that is missing.
base::Result<DaemonReport> parse_report(const std::string& text);

}  // namespace vgpu::guest
