// A block of threads: its warps, shared memory and barriers.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <vector>

#include "worker/sim/exec/warp.hpp"

namespace vgpu::sim::exec {

// Generic addresses of the memory that is not in the address space of the process: never a canonical host address.
constexpr std::uint64_t shared_window = 0xff00'0000'0000'0000;
constexpr std::uint64_t local_window = 0xfe00'0000'0000'0000;
constexpr std::uint64_t param_window = 0xfd00'0000'0000'0000;
constexpr std::uint64_t function_window = 0xfc00'0000'0000'0000;
constexpr std::uint64_t window_span = 1ull << 48;

/// What all blocks of a running launch share.
struct Running {
  const Launch& launch;
  const Machine& machine;
  const ptx::Function& kernel;
  Fault fault{};
};

class Block {
 public:
  explicit Block(Running& running);

  void start(const Extent& index, std::uint32_t linear_index);
  /// Lets every warp run for a while.
  WarpState run(std::uint32_t budget);

  Running& running() { return running_; }
  const Extent& index() const { return index_; }
  std::uint32_t linear_index() const { return linear_index_; }
  std::vector<std::byte>& shared() { return shared_; }
  std::uint32_t threads() const { return threads_; }

  /// A warp's lanes wait at `barrier` (or, if not `waits`, only arrive). `expected` 0 stands for all threads of the
  /// block.
  void arrive(std::uint32_t barrier, std::uint32_t expected, std::uint32_t lanes, bool waits, ptx::Variant reduce,
              std::uint32_t predicates);
  /// Looks whether barriers are complete, now that lanes arrived or exited.
  void check_barriers();

 private:
  struct Barrier {
    std::uint32_t expected = 0;
    std::uint32_t arrived = 0;     ///< by bar.arrive
    std::uint32_t true_count = 0;  ///< threads whose predicate held
    std::uint32_t thread_count = 0;
    ptx::Variant reduce = ptx::Variant::none;
    bool open = false;
  };
  bool is_complete(std::uint32_t index) const;

  Running& running_;
  Extent index_{};
  std::uint32_t linear_index_ = 0;
  std::uint32_t threads_ = 0;
  std::vector<std::byte> shared_;
  std::vector<std::unique_ptr<Warp>> warps_;
  std::array<Barrier, 16> barriers_{};
};

}  // namespace vgpu::sim::exec
