// Legacy requests as the broker sees them: who asks, and bytes that it does not read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "common/abi/legacy_stub.h"

namespace vgpu::broker::legacy {

struct Request {
  // Labels: repeated in the answer. Of pools there must be such a one; which one counts, the VM's standing says.
  std::uint32_t vm_id = 0;
  std::uint32_t id = 0;
  char pool = 'A';
  std::uint8_t priority = 0;
  /// More than VGPU_LEGACY_BUFFER_SIZE: too large, and not kept.
  std::size_t length = 0;
  std::vector<std::uint8_t> payload;
};

struct Answer {
  std::uint32_t error = VGPU_LEGACY_OK;   // enum vgpu_legacy_error
  std::span<const std::uint8_t> payload;  // a vgpu_legacy_answer and what belongs to it
};

/// Whoever asks: a connection. Every request is answered exactly once, unless the asker is forgotten before.
class Asker {
 public:
  virtual ~Asker() = default;
  /// May forget the asker, or be called from within Desk::take().
  virtual void on_answer(const Request& request, const Answer& answer) = 0;
};

}  // namespace vgpu::broker::legacy
