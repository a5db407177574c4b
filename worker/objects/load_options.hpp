// Options of the driver's compiler and linker: integers as the guest gave them, log buffers of our own.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/api/cuda_types.hpp"
#include "common/wire/reader.hpp"

namespace vgpu::worker {

using namespace vgpu::cuda;

/// What the driver is handed: it writes into the logs and into the array of values, for as long as a link lives.
class LoadOptions {
 public:
  /// Repeated {u32 option, u32 0, u64 value}. False for options that are no integers, which no shim sends.
  bool read(wire::Bytes bytes);
  void add_logs(uint32_t info_size, uint32_t error_size);

  unsigned count() const { return static_cast<unsigned>(names_.size()); }
  CUjit_option* names() { return names_.data(); }
  void** values() { return values_.data(); }

  const std::string& info_log() const { return info_log_; }
  const std::string& error_log() const { return error_log_; }
  /// The driver reports a log's length in the option that held its room.
  uint32_t info_log_used() const { return used(info_size_at_); }
  uint32_t error_log_used() const { return used(error_size_at_); }

 private:
  void add(CUjit_option name, uint64_t value);
  size_t add_log(CUjit_option buffer, std::string& log, uint32_t size);
  uint32_t used(size_t at) const;

  std::vector<CUjit_option> names_;
  std::vector<void*> values_;
  std::string info_log_, error_log_;
  size_t info_size_at_ = 0, error_size_at_ = 0;  // 0: there is no such log
};

}  // namespace vgpu::worker
