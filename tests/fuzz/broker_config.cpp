// The broker's configuration file. A configuration without complaints has values in their ranges; complaints name a
// line.
#include "broker/config.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>

#include "broker/vm/window.hpp"

namespace {

using namespace vgpu::broker;

void check(const Config& config) {
  if (config.socket.empty() || config.socket.front() != '/') std::abort();
  if (config.socket_mode > 0777) std::abort();
  if (!config.worker.empty() && config.worker.front() != '/') std::abort();
  if (config.max_clients == 0 || config.max_clients_per_uid == 0) std::abort();
  if (config.kill_timeout.count() <= 0 || config.hello_timeout.count() <= 0) std::abort();
  if (config.window_size < vm::kMinWindowSize || config.window_size > vm::kMaxWindowSize) std::abort();
  vgpu::log::Level level;
  if (!vgpu::log::parse_level(config.log_level, level)) std::abort();
  vgpu::log::Format format;
  if (!vgpu::log::parse_format(config.log_format, format)) std::abort();
  if (!config.log_file.empty() && config.log_file.front() != '/') std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const int file = ::memfd_create("config", 0);
  static const std::string path = "/proc/self/fd/" + std::to_string(file);
  if (file < 0 || ::ftruncate(file, 0) != 0) std::abort();
  if (::pwrite(file, data, size, 0) != static_cast<ssize_t>(size)) std::abort();
  const auto loaded = load_config(path, true, {});
  if (loaded.errors.empty()) check(loaded.config);
  for (const auto& error : loaded.errors)
    if (!error.starts_with(path + ":")) std::abort();
  return 0;
}
