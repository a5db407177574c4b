#include "tests/unit/stub/device.hpp"

#include <unistd.h>

namespace vgpu::stub {

void BrokersChannel::end_worker() const {
  const std::uint64_t one = 1;
  REQUIRE(::write(worker.get(), &one, sizeof one) == sizeof one);
}

std::uint64_t BrokersChannel::rings() const {
  std::uint64_t count = 0;
  return ::read(doorbell.get(), &count, sizeof count) == sizeof count ? count : 0;
}

vgpu_core_config Device::default_config() {
  vgpu_core_config config{};
  config.window_size = kWindowSize;
  config.pool = 'B';
  config.priority = 2;
  config.vm_id = 7;
  return config;
}

Device::Device(vgpu_core_config config) {
  config.socket = path_.c_str();
  char error[256] = "";
  core = vgpu_core_new(&config, &FakeFront::functions(), &front, error, sizeof error);
  INFO(error);
  REQUIRE(core != nullptr);
  path_ = "overwritten: the core has its own copy";
}

Device::~Device() {
  vgpu_core_free(core);
  CHECK(front.broken_rule.empty());
  CHECK(front.watched.empty());
  CHECK(front.doorbells.empty());
  CHECK(front.window == 0);
  CHECK(front.timer == 0);
}

std::string Device::link_text() {
  std::string text;
  for (unsigned i = 0; i < VGPU_LINK_TEXT_SIZE; ++i) {
    const auto byte = static_cast<char>(vgpu_core_bar0_read(core, VGPU_REG_LINK_TEXT + i, 1));
    if (byte == '\0') break;
    text += byte;
  }
  return text;
}

Received Device::connect() {
  for (int i = 0; i < 100 && !broker.accept(); ++i) pass(VGPU_CORE_RETRY_MS);
  REQUIRE(broker.has_stub());
  auto hello = broker.receive();
  REQUIRE(hello);
  REQUIRE(hello->header().type == VGPU_STUB_HELLO);
  REQUIRE(hello->fds.size() == hello->header().fd_count);
  return std::move(*hello);
}

vgpu_link Device::good_link() const {
  vgpu_link link{};
  link.chosen_major = VGPU_LINK_MAJOR;
  link.window_size = kWindowSize;
  link.channels = VGPU_CHANNEL_MAX;
  link.broker_pid = 4711;
  std::strcpy(link.vm, "red");
  return link;
}

void Device::answer(const vgpu_link& link, std::span<const int> fds) {
  broker.send(link, VGPU_LINK, fds);
  pump();
}

void Device::answer_kept(const vgpu_stub_hello& hello) {
  auto link = good_link();
  link.kept = 1;
  std::memcpy(link.open, hello.open, sizeof link.open);
  answer(link);
}

void Device::link_up() {
  vgpu_core_start(core);
  connect();
  window = make_window(kWindowSize);
  answer(good_link(), std::array{window.get()});
  REQUIRE(read(VGPU_REG_LINK) == VGPU_LINK_UP);
}

std::optional<Received> Device::ask_open(std::uint32_t size) {
  for (std::uint32_t at = 0; at < size; at += 4) write(VGPU_REQUEST_BUFFER + at, 0x01010101u * (at / 4 % 255 + 1));
  write(VGPU_REG_ARGUMENT, size);
  command(VGPU_COMMAND_OPEN);
  return broker.receive();
}

void Device::send_opened(unsigned channel, const BrokersChannel& given, std::uint64_t offset) {
  vgpu_opened opened{};
  opened.channel = channel;
  opened.window_offset = offset;
  opened.client = UINT64_C(0x1122334455667788);
  std::memset(opened.reply, 0x5a, sizeof opened.reply);
  broker.send(opened, VGPU_OPENED, std::array{given.doorbell.get(), given.worker.get()});
  pump();
}

void Device::send_closed(unsigned channel, bool released, std::uint32_t exit_class) {
  vgpu_closed closed{};
  closed.channel = channel;
  closed.released = released ? 1 : 0;
  closed.exit_class = exit_class;
  broker.send(closed, VGPU_CLOSED);
  pump();
}

void Device::open(unsigned channel, const BrokersChannel& given) {
  REQUIRE(ask_open());
  send_opened(channel, given, channel * kPiece);
  REQUIRE(read(VGPU_REG_STATUS) == VGPU_COMMAND_DONE);
  REQUIRE(read(VGPU_REG_RESULT) == channel);
}

bool Device::ended_by_nonsense() {
  return read(VGPU_REG_LINK) == VGPU_LINK_DOWN && broker.is_stub_gone() &&
         front.count_lines("sent what it must not") == 1;
}

}  // namespace vgpu::stub
