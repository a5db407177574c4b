// The rounding mode of the processor, set for the time of one instruction. Files that use it are compiled with
// -frounding-math.
#pragma once

#include <cfenv>

#include "worker/sim/ptx/types.hpp"

namespace vgpu::sim::exec {

class RoundingScope {
 public:
  explicit RoundingScope(ptx::Rounding rounding) : before_(std::fegetround()) { std::fesetround(mode(rounding)); }
  RoundingScope(const RoundingScope&) = delete;
  RoundingScope& operator=(const RoundingScope&) = delete;
  ~RoundingScope() { std::fesetround(before_); }

 private:
  static int mode(ptx::Rounding rounding) {
    switch (rounding) {
      case ptx::Rounding::zero:
        return FE_TOWARDZERO;
      case ptx::Rounding::down:
        return FE_DOWNWARD;
      case ptx::Rounding::up:
        return FE_UPWARD;
      default:
        return FE_TONEAREST;
    }
  }
  int before_;
};

inline bool is_directed(ptx::Rounding rounding) {
  return rounding != ptx::Rounding::none && rounding != ptx::Rounding::nearest;
}

}  // namespace vgpu::sim::exec
