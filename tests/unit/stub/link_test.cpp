// The link's way from nobody to up, and what a broker may say on it.
#include <sys/stat.h>

#include <cerrno>

#include "tests/unit/stub/device.hpp"

using namespace vgpu;
using namespace vgpu::stub;

namespace {

ino_t inode(const UniqueFd& fd) {
  struct stat about {};
  REQUIRE(::fstat(fd.get(), &about) == 0);
  return about.st_ino;
}

}  // namespace

TEST_CASE("nothing happens before the start, and then not before the timer") {
  Device device;
  CHECK(device.front.timer == 0);
  vgpu_core_start(device.core);
  CHECK_FALSE(device.broker.accept());
  CHECK(device.front.timer != 0);
  device.pass(0);
  CHECK(device.broker.accept());
}

TEST_CASE("the first hello says who the device is, and shows no window") {
  Device device;
  vgpu_core_start(device.core);
  const auto message = device.connect();
  const auto hello = message.as<vgpu_stub_hello>();
  CHECK(message.bytes.size() == sizeof hello);
  CHECK(message.fds.empty());
  CHECK(hello.pool == 'B');
  CHECK(hello.priority == 2);
  CHECK(hello.vm_id == 7);
  CHECK(hello.window_size == kWindowSize);
  CHECK(hello.channels == VGPU_CHANNEL_MAX);
  CHECK((hello.open[0] | hello.open[1]) == 0);
  CHECK(device.front.count_lines("[vgpu-stub] Connected to mediator at " + device.broker.path() + " (fd=") == 1);
}

TEST_CASE("the window comes behind BAR1") {
  Device device;
  device.link_up();
  CHECK(device.front.window == inode(device.window));
  CHECK(device.front.window_size == kWindowSize);
  CHECK(device.link_text() == "red");
  CHECK(device.front.count_lines("link up") == 1);
}

TEST_CASE("nobody at the socket: tried every 200 ms, said once") {
  Device device;
  device.broker.die();
  vgpu_core_start(device.core);
  device.pass(10000);
  CHECK(device.read(VGPU_REG_LINK) == VGPU_LINK_DOWN);
  CHECK(device.front.lines.size() == 1);
  CHECK(device.front.count_lines("connect() failed: Connection refused") == 1);
  CHECK_THAT(device.link_text(), Catch::Contains("Connection refused"));
  device.broker.listen();
  device.pass(VGPU_CORE_RETRY_MS);
  CHECK(device.broker.accept());
}

TEST_CASE("a broker whose queue of connections is full does not hold the device up") {
  Device device;
  vgpu_core_start(device.core);
  const auto others = device.broker.fill_queue();
  device.pass(1000);
  CHECK(device.front.count_lines("Resource temporarily unavailable") == 1);
  CHECK(device.read(VGPU_REG_LINK) == VGPU_LINK_DOWN);
}

TEST_CASE("a refusal is shown to the guest with its reason, and asked again every 2 s") {
  Device device;
  vgpu_core_start(device.core);
  for (int i = 0; i < 5; ++i) {
    device.connect();
    auto link = device.good_link();
    link.status = 2;
    std::strcpy(link.text, "another stub\x1b holds this VM");
    device.answer(link);
    CHECK(device.read(VGPU_REG_LINK) == VGPU_LINK_REFUSED);
    CHECK(device.link_text() == "another stub? holds this VM");
    CHECK(device.broker.is_stub_gone());
    device.pass(VGPU_CORE_REFUSED_RETRY_MS - 1);
    CHECK_FALSE(device.broker.accept());
    device.pass(1);
  }
  CHECK(device.front.count_lines("Connected to mediator") == 1);
  CHECK(device.front.count_lines("refuses this VM: another stub") == 1);
  CHECK(device.front.lines.size() == 2);
  device.connect();
  CHECK(device.read(VGPU_REG_LINK) == VGPU_LINK_REFUSED);  // until it is known better
  device.window = make_window(kWindowSize);
  device.answer(device.good_link(), std::array{device.window.get()});
  CHECK(device.read(VGPU_REG_LINK) == VGPU_LINK_UP);
}

TEST_CASE("a refusal without an end to its text is cut") {
  Device device;
  vgpu_core_start(device.core);
  device.connect();
  auto link = device.good_link();
  link.status = 5;
  std::memset(link.text, 'x', sizeof link.text);
  device.answer(link);
  CHECK(device.link_text() == std::string(sizeof link.text, 'x'));
}

TEST_CASE("a broker of another major version is a refusal that names both versions") {
  Device device;
  vgpu_core_start(device.core);
  device.connect();
  const vgpu_link_header header{VGPU_LINK_MAGIC, VGPU_LINK, 0, 9999, 2, 3};
  device.broker.send_raw(std::as_bytes(std::span(&header, 1)));
  device.pump();
  CHECK(device.read(VGPU_REG_LINK) == VGPU_LINK_REFUSED);
  CHECK_THAT(device.link_text(), Catch::Contains("2.3") && Catch::Contains("1.0"));
}

TEST_CASE("a broker that closes without an answer is tried again every 200 ms, said once") {
  Device device;
  vgpu_core_start(device.core);
  for (int i = 0; i < 5; ++i) {
    device.connect();
    device.broker.hang_up();
    device.pump();
    CHECK(device.read(VGPU_REG_LINK) == VGPU_LINK_DOWN);
    device.pass(VGPU_CORE_RETRY_MS - 1);
    CHECK_FALSE(device.broker.accept());
    device.pass(1);
  }
  CHECK(device.front.lines.size() == 2);
}

TEST_CASE("a hello without an answer is waited for, and said once") {
  Device device;
  vgpu_core_start(device.core);
  device.connect();
  device.pass(60000);
  CHECK(device.front.count_lines("has not answered for 5 s") == 1);
  CHECK_FALSE(device.broker.is_stub_gone());
  device.window = make_window(kWindowSize);
  device.answer(device.good_link(), std::array{device.window.get()});
  CHECK(device.read(VGPU_REG_LINK) == VGPU_LINK_UP);
}

TEST_CASE("messages may come in any pieces, and several at once") {
  Device device;
  vgpu_core_start(device.core);
  device.connect();
  device.window = make_window(kWindowSize);
  auto link = device.good_link();
  link.header = {VGPU_LINK_MAGIC, VGPU_LINK, 1, sizeof link, VGPU_LINK_MAJOR, VGPU_LINK_MINOR};
  const auto bytes = std::as_bytes(std::span(&link, 1));
  const auto step = GENERATE(1u, 7u, 16u, 17u, 375u);
  for (std::size_t at = 0; at < bytes.size(); at += step) {
    CHECK(device.read(VGPU_REG_LINK) == VGPU_LINK_DOWN);
    const std::array fds{device.window.get()};
    device.broker.send_raw(bytes.subspan(at, std::min<std::size_t>(step, bytes.size() - at)),
                           at == 0 ? std::span<const int>(fds) : std::span<const int>());
    device.pump();
  }
  CHECK(device.read(VGPU_REG_LINK) == VGPU_LINK_UP);

  const BrokersChannel first, second;
  device.open(0, first);
  device.open(1, second);
  std::vector<std::byte> both;
  for (const unsigned channel : {0u, 1u}) {
    vgpu_closed closed{};
    closed.header = {VGPU_LINK_MAGIC, VGPU_CLOSED, 0, sizeof closed, VGPU_LINK_MAJOR, VGPU_LINK_MINOR};
    closed.channel = channel;
    const auto part = std::as_bytes(std::span(&closed, 1));
    both.insert(both.end(), part.begin(), part.end());
  }
  device.broker.send_raw(both);
  device.pump();
  CHECK(device.state(0) == VGPU_CHANNEL_LOST);
  CHECK(device.state(1) == VGPU_CHANNEL_LOST);
}

TEST_CASE("a LINK that breaks a rule ends the connection with one line, and is tried again after 2 s") {
  Device device;
  vgpu_core_start(device.core);
  device.connect();
  auto link = device.good_link();
  auto window = make_window(kWindowSize);
  SECTION("another window size than asked for") { link.window_size *= 2; }
  SECTION("a window that is smaller than said") { window = make_window(kWindowSize / 2); }
  SECTION("a window that may shrink") { window = make_window(kWindowSize, false); }
  SECTION("a window that is no memory") { window = make_doorbell(); }
  SECTION("a window that is a file") { window = UniqueFd(::fileno(::tmpfile())); }
  SECTION("no channels") { link.channels = 0; }
  SECTION("more channels than asked for") { link.channels = VGPU_CHANNEL_MAX + 1; }
  SECTION("a version that was not offered") { link.chosen_minor = 1; }
  SECTION("features that were not offered") { link.features = 1; }
  SECTION("kept, with a window") { link.kept = 1; }
  SECTION("neither kept nor fresh") { link.kept = 2; }
  device.answer(link, std::array{window.get()});
  CHECK(device.ended_by_nonsense());
  CHECK(device.front.window == 0);
  CHECK(device.read(VGPU_REG_GENERATION) == 0);
  device.pass(VGPU_CORE_REFUSED_RETRY_MS - 1);
  CHECK_FALSE(device.broker.accept());
  device.pass(1);
  CHECK(device.broker.accept());
}

TEST_CASE("a LINK without the window, or kept when none was shown, is nonsense") {
  Device device;
  vgpu_core_start(device.core);
  device.connect();
  auto link = device.good_link();
  link.kept = GENERATE(0u, 1u);
  device.answer(link);
  CHECK(device.ended_by_nonsense());
}

TEST_CASE("what is no message for a stub ends the link with one line, also when it goes on") {
  Device device;
  device.link_up();
  vgpu_link_header header{VGPU_LINK_MAGIC, VGPU_CLOSED, 0, sizeof(vgpu_closed), VGPU_LINK_MAJOR, VGPU_LINK_MINOR};
  const auto bell = make_doorbell();
  std::vector<int> fds;
  SECTION("other bytes") { header.magic = 0x20544547; }
  SECTION("an unknown type") { header.type = 99; }
  SECTION("a message of the stub's") { header.type = VGPU_OPEN; }
  SECTION("a wrong size") { header.size += 1; }
  SECTION("a huge size") { header.size = ~0u; }
  SECTION("a size smaller than the header") { header.size = 4; }
  SECTION("descriptors that its type never has") { header.fd_count = 1; }
  SECTION("a second LINK") {
    header.type = VGPU_LINK;
    header.size = sizeof(vgpu_link);
  }
  SECTION("descriptors that were not announced") { fds.assign(1, bell.get()); }
  SECTION("more descriptors than any message has") { fds.assign(20, bell.get()); }
  std::vector<std::byte> bytes(4096);
  std::memcpy(bytes.data(), &header, sizeof header);
  device.broker.send_raw(bytes, fds);
  device.pump();
  CHECK(device.ended_by_nonsense());
}

TEST_CASE("descriptors announced but not sent are nonsense") {
  Device device;
  device.link_up();
  device.ask_open();
  vgpu_opened opened{};
  opened.header = {VGPU_LINK_MAGIC, VGPU_OPENED, 2, sizeof opened, VGPU_LINK_MAJOR, VGPU_LINK_MINOR};
  device.broker.send_raw(std::as_bytes(std::span(&opened, 1)));
  device.pump();
  CHECK(device.ended_by_nonsense());
  CHECK(device.front.count_lines("came with 0 descriptors and announces 2") == 1);
  CHECK(device.read(VGPU_REG_STATUS) == VGPU_COMMAND_LOST);
}

TEST_CASE("nothing but a LINK may follow the hello") {
  Device device;
  vgpu_core_start(device.core);
  device.connect();
  const auto type = GENERATE(VGPU_CLOSED, VGPU_LEGACY_RESP, VGPU_OPENED);
  if (type == VGPU_CLOSED) device.broker.send(vgpu_closed{}, type);
  if (type == VGPU_LEGACY_RESP) device.broker.send(vgpu_legacy_response{}, type);
  if (type == VGPU_OPENED) device.broker.send(vgpu_opened{}, type);
  device.pump();
  CHECK(device.ended_by_nonsense());
}

TEST_CASE("a window that the front cannot take brings the link down, and is tried again") {
  Device device;
  device.front.attach_window_error = ENOMEM;
  vgpu_core_start(device.core);
  device.connect();
  device.window = make_window(kWindowSize);
  device.answer(device.good_link(), std::array{device.window.get()});
  CHECK(device.read(VGPU_REG_LINK) == VGPU_LINK_DOWN);
  CHECK(device.front.count_lines("cannot be put behind BAR1: Cannot allocate memory") == 1);
  CHECK(device.broker.is_stub_gone());
  CHECK(device.read(VGPU_REG_GENERATION) == 0);
  device.front.attach_window_error = 0;
  device.connect();
  device.answer(device.good_link(), std::array{device.window.get()});
  CHECK(device.read(VGPU_REG_GENERATION) == 1);
}
