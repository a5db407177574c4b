#include "worker/objects/load_options.hpp"

#include <algorithm>
#include <cstring>

namespace vgpu::worker {
namespace {

constexpr uint32_t kLargestLog = 1u << 20;
constexpr size_t kOptionBytes = 16;

bool takes_an_integer(CUjit_option option) {
  switch (option) {
    case CU_JIT_INFO_LOG_BUFFER:
    case CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES:
    case CU_JIT_ERROR_LOG_BUFFER:
    case CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES:
    case CU_JIT_WALL_TIME:
      return false;
    case 17:
    case 18:
    case 19:
      return false;  // arrays of symbol names and addresses, and their length
    default:
      return option <= 24;  // 25 to 28 carry lists of names; the shim sends none of the later ones
  }
}

}  // namespace

void LoadOptions::add(CUjit_option name, uint64_t value) {
  names_.push_back(name);
  values_.push_back(reinterpret_cast<void*>(value));
}

bool LoadOptions::read(wire::Bytes bytes) {
  if (bytes.size() % kOptionBytes != 0) return false;
  for (size_t at = 0; at < bytes.size(); at += kOptionBytes) {
    CUjit_option option = 0;
    uint64_t value = 0;
    std::memcpy(&option, bytes.data() + at, sizeof option);
    std::memcpy(&value, bytes.data() + at + 8, sizeof value);
    if (!takes_an_integer(option)) return false;
    add(option, value);
  }
  return true;
}

size_t LoadOptions::add_log(CUjit_option buffer, std::string& log, uint32_t size) {
  log.assign(std::min(size, kLargestLog), '\0');
  if (log.empty()) return 0;
  add(buffer, reinterpret_cast<uint64_t>(log.data()));
  const size_t at = values_.size();
  add(buffer + 1, log.size());
  return at;
}

void LoadOptions::add_logs(uint32_t info_size, uint32_t error_size) {
  info_size_at_ = add_log(CU_JIT_INFO_LOG_BUFFER, info_log_, info_size);
  error_size_at_ = add_log(CU_JIT_ERROR_LOG_BUFFER, error_log_, error_size);
}

uint32_t LoadOptions::used(size_t at) const {
  return at == 0 ? 0 : static_cast<uint32_t>(reinterpret_cast<uint64_t>(values_[at]));
}

}  // namespace vgpu::worker
