#include "tests/process/device/virtual_machine.hpp"

#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cerrno>
#include <cstring>
#include <vector>

#include "common/shm/segment.hpp"
#include "tests/process/broker/harness.hpp"

namespace vgpu::test {
namespace {

constexpr std::uint64_t kLongestTurnMs = 5;  // what is not a descriptor is looked at this often

std::uint64_t now_ms(void*) { return shm::monotonic_ms(); }

}  // namespace

const vgpu_core_front& VirtualMachine::functions() {
  static const vgpu_core_front table{
      [](void* front, vgpu_core_log_level, const char* line) { self(front).log_ += std::string(line) + "\n"; },
      [](void* front, int fd, std::uint64_t) {
        self(front).bar1_.reset(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
        return self(front).bar1_ ? 0 : errno;
      },
      [](void* front) { self(front).bar1_.reset(); },
      nullptr,
      nullptr,
      [](void* front, int fd, int writable) { self(front).watched_[fd] = writable != 0; },
      [](void* front, int fd) { self(front).watched_.erase(fd); },
      [](void* front, std::uint64_t when) { self(front).timer_ = when; },
      now_ms};
  return table;
}

VirtualMachine::VirtualMachine(const std::string& socket, std::uint64_t window_size) {
  vgpu_core_config config{};
  config.socket = socket.c_str();
  config.window_size = window_size;
  config.pool = 'A';
  config.priority = 1;
  config.vm_id = 3;
  char error[200] = "";
  core_ = vgpu_core_new(&config, &functions(), this, error, sizeof error);
  INFO(error);
  REQUIRE(core_ != nullptr);
  vgpu_core_start(core_);
}

VirtualMachine::~VirtualMachine() { vgpu_core_free(core_); }

void VirtualMachine::turn() {
  std::vector<pollfd> polled;
  for (const auto& [fd, writable] : watched_)
    polled.push_back({fd, static_cast<short>(POLLIN | (writable ? POLLOUT : 0)), 0});
  ::poll(polled.data(), polled.size(), kLongestTurnMs);
  for (const auto& one : polled)
    if (one.revents != 0 && watched_.contains(one.fd)) vgpu_core_on_ready(core_, one.fd);
  if (timer_ != 0 && now_ms(nullptr) >= timer_) {
    timer_ = 0;
    vgpu_core_on_timer(core_);
  }
}

bool VirtualMachine::run_until(const std::function<bool()>& condition) {
  for (const auto deadline = soon(); !deadline.passed(); turn())
    if (condition()) return true;
  UNSCOPED_INFO(log_);
  return condition();
}

bool VirtualMachine::await_link(std::uint32_t status) {
  return run_until([&] { return read(VGPU_REG_LINK) == status; });
}

std::string VirtualMachine::link_text() {
  std::string text;
  for (unsigned i = 0; i < VGPU_LINK_TEXT_SIZE; ++i)
    text += static_cast<char>(vgpu_core_bar0_read(core_, VGPU_REG_LINK_TEXT + i, 1));
  return text.c_str();
}

std::uint32_t VirtualMachine::await_command() {
  REQUIRE(run_until([&] { return read(VGPU_REG_STATUS) != VGPU_COMMAND_BUSY; }));
  return read(VGPU_REG_STATUS);
}

VirtualMachine::Opened VirtualMachine::open() {
  auto hello = hello_for_test();
  hello.features = control::kFeatureExtents;
  hello.header.type = control::MessageType::hello;
  hello.header.size = sizeof hello;
  return open(hello);
}

VirtualMachine::Opened VirtualMachine::open(const control::Hello& hello) {
  std::array<std::uint32_t, sizeof hello / 4> words{};
  std::memcpy(words.data(), &hello, sizeof hello);
  for (std::uint32_t i = 0; i < words.size(); ++i) write(VGPU_REQUEST_BUFFER + 4 * i, words[i]);
  write(VGPU_REG_ARGUMENT, sizeof hello);
  write(VGPU_REG_COMMAND, VGPU_COMMAND_OPEN);
  const auto status = await_command();
  Opened opened{read(VGPU_REG_RESULT), {}};
  std::array<std::uint32_t, sizeof opened.reply / 4> answer{};
  for (std::uint32_t i = 0; i < answer.size(); ++i) answer[i] = read(VGPU_REPLY_BUFFER + 4 * i);
  std::memcpy(static_cast<void*>(&opened.reply), answer.data(), sizeof opened.reply);
  INFO(control::get_text(opened.reply.text));
  REQUIRE(opened.reply.header.type == control::MessageType::hello_reply);
  CHECK((status == VGPU_COMMAND_DONE) == (opened.reply.status == control::HelloStatus::ok));
  return opened;
}

std::uint32_t VirtualMachine::close(unsigned channel) {
  write(VGPU_REG_COMMAND, VGPU_COMMAND_CLOSE | channel << VGPU_COMMAND_CHANNEL_SHIFT);
  return await_command();
}

std::uint32_t VirtualMachine::state(unsigned channel) {
  const auto state = read(VGPU_CHANNEL_TABLE + channel * VGPU_CHANNEL_ENTRY + VGPU_CHANNEL_STATE);
  CHECK(read(VGPU_CHANNEL_PAGES + channel * VGPU_CHANNEL_PAGE_SIZE + VGPU_PAGE_STATE) == state);
  return state;
}

std::uint32_t VirtualMachine::exit_class(unsigned channel) {
  return read(VGPU_CHANNEL_TABLE + channel * VGPU_CHANNEL_ENTRY + VGPU_CHANNEL_EXIT);
}

}  // namespace vgpu::test
