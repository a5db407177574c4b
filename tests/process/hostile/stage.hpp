// A broker with real workers on the software GPU, and a neighbour who must not notice what the others do.
#pragma once

#include <memory>

#include "tests/process/hostile/raw_client.hpp"

namespace vgpu::test {

/// A client that computes: c = a + b over some thousand numbers, compared with what this process computes.
class Neighbour {
 public:
  explicit Neighbour(const std::string& socket);
  /// True if the sum of fresh numbers comes out right.
  bool computes();

 private:
  RawClient client_;
  uint64_t kernel_ = 0;
  uint64_t arrays_[3] = {};
  uint32_t round_ = 0;
};

class Stage {
 public:
  explicit Stage(const std::string& config = "");

  /// A client whose worker serves, with a context.
  std::unique_ptr<RawClient> client();
  /// After all other clients have gone: the neighbour computes right, and the broker has nothing left of the others.
  void check_clean();
  /// The client's worker has ended as `kind`, for a reason that the log tells in one line; the neighbour computes on.
  void check_ended(RawClient& client, control::ExitClass kind);
  void check_cut_off(RawClient& client) { check_ended(client, control::ExitClass::protocol_violation); }
  /// The client is still served.
  static void check_served(RawClient& client);

  TemporaryFolder folder;
  std::string socket;
  Process process;

 private:
  size_t descriptors() const;
  std::vector<pid_t> children() const;
  std::vector<std::string> command(const std::string& config) const;

  std::unique_ptr<Neighbour> neighbour_;
  size_t descriptors_before_ = 0;
};

size_t count_lines(const std::string& text, const std::string& part);

/// PTX of the neighbour's kernel: also a module that others may load.
inline constexpr char kVectorAdd[] = R"(
.version 7.0
.target sm_75
.address_size 64
.visible .entry add(.param .u64 a, .param .u64 b, .param .u64 c)
{
  .reg .u32 %block, %size, %thread, %i, %x, %y;
  .reg .u64 %a, %b, %c, %offset;
  mov.u32 %block, %ctaid.x;
  mov.u32 %size, %ntid.x;
  mov.u32 %thread, %tid.x;
  mad.lo.u32 %i, %block, %size, %thread;
  ld.param.u64 %a, [a];
  ld.param.u64 %b, [b];
  ld.param.u64 %c, [c];
  mul.wide.u32 %offset, %i, 4;
  add.u64 %a, %a, %offset;
  add.u64 %b, %b, %offset;
  add.u64 %c, %c, %offset;
  ld.global.u32 %x, [%a];
  ld.global.u32 %y, [%b];
  add.u32 %x, %x, %y;
  st.global.u32 [%c], %x;
  ret;
}
)";

}  // namespace vgpu::test
