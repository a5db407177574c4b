// A line per record, at log level "trace": what became of it in the worker. The guest's side of the same calls is
// VGPU_TRACE; both count a client's records in the order of its ring, so CLIENT:NUMBER names one call on both sides.
#pragma once

#include <cstdint>

#include "worker/dispatch/call.hpp"

namespace vgpu::worker {

class Trace {
 public:
  bool is_on() const { return is_on_; }
  /// On if the log's level asks for it.
  void start(uint64_t client);

  /// `call` was read from the ring.
  void took(Call& call) const;
  /// It is finished, as finish() said.
  void done(const Call& call);

 private:
  bool may_write(uint64_t now);

  bool is_on_ = false;
  uint64_t client_ = 0;
  uint64_t second_ = 0;    // the bounds are of
  unsigned lines_ = 0;     // in it
  uint64_t left_out_ = 0;  // since the last line
};

}  // namespace vgpu::worker
