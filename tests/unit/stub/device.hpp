// A device as the tests use it: a core with a fake front and a fake broker, and the steps that most tests begin with.
#pragma once

#include <catch2/catch.hpp>

#include "common/abi/device_registers.h"
#include "tests/unit/stub/fake_broker.hpp"
#include "tests/unit/stub/fake_front.hpp"

namespace vgpu::stub {

inline constexpr std::uint64_t kWindowSize = UINT64_C(64) << 20;
inline constexpr std::uint64_t kPiece = UINT64_C(2) << 20;

/// What the broker gave for a channel. The worker has ended once end_worker() has been called.
struct BrokersChannel {
  UniqueFd doorbell = make_doorbell();
  UniqueFd worker = make_doorbell();

  void end_worker() const;
  std::uint64_t rings() const;  // since the last call
};

class Device {
 public:
  explicit Device(vgpu_core_config config = default_config());
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  static vgpu_core_config default_config();

  FakeBroker broker;
  FakeFront front;
  vgpu_core* core = nullptr;
  UniqueFd window;  // the broker's, of the last fresh link

  std::uint32_t read(std::uint64_t offset) { return static_cast<std::uint32_t>(vgpu_core_bar0_read(core, offset, 4)); }
  void write(std::uint64_t offset, std::uint32_t value) { vgpu_core_bar0_write(core, offset, value, 4); }
  std::uint32_t state(unsigned channel) { return read(VGPU_CHANNEL_TABLE + channel * VGPU_CHANNEL_ENTRY); }
  std::uint32_t page_state(unsigned channel) { return read(page(channel) + VGPU_PAGE_STATE); }
  std::uint32_t exit_class(unsigned channel) {
    return read(VGPU_CHANNEL_TABLE + channel * VGPU_CHANNEL_ENTRY + VGPU_CHANNEL_EXIT);
  }
  static std::uint64_t page(unsigned channel) { return VGPU_CHANNEL_PAGES + channel * VGPU_CHANNEL_PAGE_SIZE; }
  std::string link_text();
  std::uint64_t mistakes() { return vgpu_core_mistakes(core); }
  void pass(std::uint64_t ms) { front.pass(core, ms); }
  void pump() { front.pump(core); }

  /// Lets the stub connect, and returns its hello.
  Received connect();
  vgpu_link good_link() const;
  void answer(const vgpu_link& link, std::span<const int> fds = {});
  void answer_kept(const vgpu_stub_hello& hello);
  /// From start to an open link with a fresh window.
  void link_up();
  void command(std::uint32_t operation, unsigned channel = 0) {
    write(VGPU_REG_COMMAND, operation | channel << VGPU_COMMAND_CHANNEL_SHIFT);
  }
  /// Writes a hello of `size` bytes, asks for a channel, and returns what the broker got.
  std::optional<Received> ask_open(std::uint32_t size = VGPU_MAILBOX_SIZE);
  void send_opened(unsigned channel, const BrokersChannel& given, std::uint64_t offset = 0);
  void send_closed(unsigned channel, bool released, std::uint32_t exit_class = 0);
  void open(unsigned channel, const BrokersChannel& given);
  bool ended_by_nonsense();

 private:
  std::string path_ = broker.path();
};

}  // namespace vgpu::stub
