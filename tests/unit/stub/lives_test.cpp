// What outlives what: a broker that ends, a broker that comes back, a guest that resets.
#include "tests/unit/stub/device.hpp"

using namespace vgpu;
using namespace vgpu::stub;

namespace {

void lose_broker(Device& device) {
  device.broker.die();
  device.pump();
  REQUIRE(device.read(VGPU_REG_LINK) == VGPU_LINK_DOWN);
}

vgpu_stub_hello meet_next_broker(Device& device) {
  device.broker.listen();
  return device.connect().as<vgpu_stub_hello>();
}

}  // namespace

TEST_CASE("a broker that ends leaves window, doorbells and open channels") {
  Device device;
  device.link_up();
  const BrokersChannel given;
  device.open(0, given);
  lose_broker(device);
  CHECK(device.front.window != 0);
  CHECK(device.state(0) == VGPU_CHANNEL_OPEN);
  CHECK(device.read(VGPU_REG_CHANNELS) == 0);
  CHECK(device.read(VGPU_REG_BROKER_PID) == 0);
  device.write(Device::page(0), 1);
  CHECK(given.rings() == 1);
  CHECK(device.front.count_lines("has ended: its workers go on") == 1);
}

TEST_CASE("the next broker is shown the window and the channels, and keeps them") {
  Device device;
  device.link_up();
  const BrokersChannel first, second;
  device.open(0, first);
  device.open(1, second);
  lose_broker(device);
  device.broker.listen();
  const auto message = device.connect();
  REQUIRE(message.fds.size() == 1);
  const auto hello = message.as<vgpu_stub_hello>();
  CHECK(hello.open[0] == 3);
  CHECK(hello.open[1] == 0);
  device.answer_kept(hello);
  CHECK(device.read(VGPU_REG_LINK) == VGPU_LINK_UP);
  CHECK(device.read(VGPU_REG_GENERATION) == 1);
  CHECK(device.state(0) == VGPU_CHANNEL_OPEN);
  CHECK(device.front.doorbells.size() == 2);
  device.command(VGPU_COMMAND_CLOSE, 0);
  device.send_closed(0, true);
  CHECK(device.read(VGPU_REG_STATUS) == VGPU_COMMAND_DONE);
}

TEST_CASE("the stub is back within 400 ms of a broker's end and return, however long it was away") {
  Device device;
  device.link_up();
  lose_broker(device);
  device.pass(GENERATE(0u, 30u, 100000u));
  device.broker.listen();
  device.pass(400);
  CHECK(device.broker.accept());
}

TEST_CASE("channels that the next broker does not know are lost, and can be closed") {
  Device device;
  device.link_up();
  const BrokersChannel first, second;
  device.open(0, first);
  device.open(1, second);
  lose_broker(device);
  auto hello = meet_next_broker(device);
  hello.open[0] = 2;
  device.answer_kept(hello);
  CHECK(device.state(0) == VGPU_CHANNEL_LOST);
  CHECK(device.page_state(0) == VGPU_CHANNEL_LOST);
  CHECK(device.state(1) == VGPU_CHANNEL_OPEN);
  device.command(VGPU_COMMAND_CLOSE, 0);
  CHECK(device.broker.receive()->as<vgpu_close>().channel == 0);
  device.send_closed(0, true);
  CHECK(device.state(0) == VGPU_CHANNEL_FREE);
}

TEST_CASE("a broker that keeps channels which were not shown is left") {
  Device device;
  device.link_up();
  lose_broker(device);
  auto hello = meet_next_broker(device);
  hello.open[1] = 1;
  device.answer_kept(hello);
  CHECK(device.ended_by_nonsense());
}

TEST_CASE("a worker that ends while no broker is there is seen by the device") {
  Device device;
  device.link_up();
  const BrokersChannel given;
  device.open(0, given);
  lose_broker(device);
  given.end_worker();
  device.pump();
  CHECK(device.state(0) == VGPU_CHANNEL_LOST);
  CHECK(device.page_state(0) == VGPU_CHANNEL_LOST);
  const auto hello = meet_next_broker(device);
  CHECK(hello.open[0] == 1);  // the guest holds its memory still
  device.answer_kept(hello);
  CHECK(device.state(0) == VGPU_CHANNEL_LOST);
}

TEST_CASE("why a worker ended is not forgotten when the next broker does not know it") {
  Device device;
  device.link_up();
  const BrokersChannel given;
  device.open(0, given);
  device.send_closed(0, false, 7);
  lose_broker(device);
  auto hello = meet_next_broker(device);
  hello.open[0] = 0;
  device.answer_kept(hello);
  CHECK(device.exit_class(0) == 7);
}

TEST_CASE("an event that is not there, as of a descriptor that had the same number before, ends nothing") {
  Device device;
  device.link_up();
  const BrokersChannel given;
  device.open(0, given);
  for (const auto& [fd, writable] : std::map(device.front.watched)) vgpu_core_on_ready(device.core, fd);
  vgpu_core_on_ready(device.core, -1);
  vgpu_core_on_ready(device.core, 12345);
  vgpu_core_on_timer(device.core);
  CHECK(device.state(0) == VGPU_CHANNEL_OPEN);
  CHECK(device.read(VGPU_REG_LINK) == VGPU_LINK_UP);
}

TEST_CASE("a command in flight when the link ends is lost, not waited for") {
  Device device;
  device.link_up();
  const BrokersChannel given;
  device.open(0, given);
  const bool is_open = GENERATE(true, false);
  if (is_open)
    device.ask_open();
  else
    device.command(VGPU_COMMAND_CLOSE, 0);
  lose_broker(device);
  CHECK(device.read(VGPU_REG_STATUS) == VGPU_COMMAND_LOST);
  CHECK(device.state(0) == VGPU_CHANNEL_OPEN);
  CHECK(device.state(1) == VGPU_CHANNEL_FREE);
  CHECK(meet_next_broker(device).open[0] == 1);
}

TEST_CASE("a close in flight of a channel whose worker has ended leaves it lost when the link ends") {
  Device device;
  device.link_up();
  const BrokersChannel given;
  device.open(0, given);
  device.command(VGPU_COMMAND_CLOSE, 0);
  given.end_worker();
  device.pump();
  lose_broker(device);
  CHECK(device.state(0) == VGPU_CHANNEL_LOST);
}

TEST_CASE("without a link nothing is opened, and a channel is given back at once") {
  Device device;
  device.link_up();
  const BrokersChannel first, second;
  device.open(0, first);
  device.open(1, second);
  lose_broker(device);
  device.write(VGPU_REG_ARGUMENT, 4096);
  device.command(VGPU_COMMAND_OPEN);
  CHECK(device.read(VGPU_REG_STATUS) == VGPU_COMMAND_LOST);
  device.command(VGPU_COMMAND_CLOSE, 0);
  CHECK(device.read(VGPU_REG_STATUS) == VGPU_COMMAND_DONE);
  CHECK(device.state(0) == VGPU_CHANNEL_FREE);
  CHECK(device.front.doorbells.size() == 1);
  CHECK(meet_next_broker(device).open[0] == 2);
}

TEST_CASE("a channel given back without a link is not used again before the broker has confirmed it") {
  Device device;
  device.link_up();
  const BrokersChannel first, second;
  device.open(0, first);
  device.open(1, second);
  lose_broker(device);
  const bool is_shown = GENERATE(true, false);
  if (!is_shown) device.command(VGPU_COMMAND_CLOSE, 0);
  const auto hello = meet_next_broker(device);
  CHECK(hello.open[0] == (is_shown ? 3 : 2));
  if (is_shown) device.command(VGPU_COMMAND_CLOSE, 0);
  CHECK(device.read(VGPU_REG_STATUS) == VGPU_COMMAND_DONE);
  CHECK(device.state(0) == VGPU_CHANNEL_FREE);
  device.answer_kept(hello);
  const auto close = device.broker.receive();
  REQUIRE(close);
  CHECK(close->header().type == VGPU_CLOSE);
  CHECK(close->as<vgpu_close>().channel == 0);
  CHECK(device.ask_open()->as<vgpu_open>().channel == 2);
  device.send_closed(0, false, 8);
  device.send_closed(0, true);
  device.send_opened(2, BrokersChannel{}, 2 * kPiece);
  CHECK(device.ask_open()->as<vgpu_open>().channel == 0);
  device.send_closed(0, true);  // once for the hello that left it out, once for CLOSE
  device.send_opened(0, BrokersChannel{});
  CHECK(device.read(VGPU_REG_LINK) == VGPU_LINK_UP);
  CHECK(device.state(0) == VGPU_CHANNEL_OPEN);
}

TEST_CASE("a channel whose opening the link's end cut short is given back as well") {
  Device device;
  device.link_up();
  device.ask_open();
  lose_broker(device);
  const auto hello = meet_next_broker(device);
  CHECK(hello.open[0] == 0);
  device.answer_kept(hello);
  CHECK(device.broker.receive()->as<vgpu_close>().channel == 0);
  CHECK(device.ask_open()->as<vgpu_open>().channel == 1);
}

TEST_CASE("with a fresh window nothing of the old one is given back") {
  Device device;
  device.link_up();
  device.ask_open();
  lose_broker(device);
  meet_next_broker(device);
  device.window = make_window(kWindowSize);
  device.answer(device.good_link(), std::array{device.window.get()});
  CHECK(device.ask_open()->as<vgpu_open>().channel == 0);
}

TEST_CASE("all channels given back between hello and answer") {
  Device device;
  device.link_up();
  std::vector<BrokersChannel> given(VGPU_CHANNEL_MAX);
  for (unsigned i = 0; i < VGPU_CHANNEL_MAX; ++i) {
    REQUIRE(device.ask_open());
    device.send_opened(i, given[i]);
  }
  lose_broker(device);
  const auto hello = meet_next_broker(device);
  CHECK(hello.open[0] == UINT64_MAX);
  CHECK(hello.open[1] == UINT64_MAX);
  for (unsigned i = 0; i < VGPU_CHANNEL_MAX; ++i) device.command(VGPU_COMMAND_CLOSE, i);
  device.answer_kept(hello);
  CHECK(device.broker.receive_all().size() == VGPU_CHANNEL_MAX);
}

TEST_CASE("a fresh window in place of the one that was shown: its channels are lost, and closed without the broker") {
  Device device;
  device.link_up();
  const BrokersChannel given;
  device.open(0, given);
  lose_broker(device);
  meet_next_broker(device);
  device.window = make_window(kWindowSize);
  device.answer(device.good_link(), std::array{device.window.get()});
  CHECK(device.read(VGPU_REG_LINK) == VGPU_LINK_UP);
  CHECK(device.read(VGPU_REG_GENERATION) == 2);
  CHECK(device.state(0) == VGPU_CHANNEL_LOST);
  CHECK(device.front.doorbells.empty());
  device.write(Device::page(0), 1);
  CHECK(given.rings() == 0);
  CHECK(device.mistakes() == 0);  // its client need not know yet
  CHECK(device.ask_open()->as<vgpu_open>().channel == 1);
  device.send_opened(1, BrokersChannel{}, kPiece);
  device.command(VGPU_COMMAND_CLOSE, 0);
  CHECK(device.read(VGPU_REG_STATUS) == VGPU_COMMAND_DONE);
  CHECK(device.state(0) == VGPU_CHANNEL_FREE);
  CHECK_FALSE(device.broker.receive());
}

TEST_CASE("a refusal by the next broker leaves what there is, and shows it again") {
  Device device;
  device.link_up();
  const BrokersChannel given;
  device.open(0, given);
  lose_broker(device);
  meet_next_broker(device);
  auto link = device.good_link();
  link.status = 5;
  device.answer(link);
  CHECK(device.read(VGPU_REG_LINK) == VGPU_LINK_REFUSED);
  CHECK(device.link_text() == "no reason given");
  CHECK(device.state(0) == VGPU_CHANNEL_OPEN);
  device.pass(VGPU_CORE_REFUSED_RETRY_MS);
  CHECK(device.connect().as<vgpu_stub_hello>().open[0] == 1);
}

TEST_CASE("a reset gives everything back and begins anew with a fresh window") {
  Device device;
  device.link_up();
  const BrokersChannel given;
  device.open(0, given);
  device.write(VGPU_LEGACY_SCRATCH, 1);
  device.write(VGPU_LEGACY_REQUEST, 1);
  device.write(VGPU_REG_MAGIC, 1);
  device.ask_open();
  vgpu_core_reset(device.core);
  CHECK(device.broker.is_stub_gone());
  CHECK(device.front.window == 0);
  CHECK(device.front.doorbells.empty());
  CHECK(device.read(VGPU_REG_LINK) == VGPU_LINK_DOWN);
  CHECK(device.read(VGPU_REG_STATUS) == VGPU_COMMAND_IDLE);
  CHECK(device.read(VGPU_REG_ARGUMENT) == 0);
  CHECK(device.read(VGPU_REQUEST_BUFFER) == 0);
  CHECK(device.read(VGPU_LEGACY_SCRATCH) == 0);
  CHECK(device.read(VGPU_LEGACY_REQUEST) == 0);
  CHECK(device.state(0) == VGPU_CHANNEL_FREE);
  CHECK(device.state(1) == VGPU_CHANNEL_FREE);
  CHECK(device.read(VGPU_REG_GENERATION) == 1);
  CHECK(device.read(VGPU_REG_MISTAKES) == 1);

  const auto message = device.connect();
  CHECK(message.fds.empty());
  CHECK(message.as<vgpu_stub_hello>().open[0] == 0);
  device.window = make_window(kWindowSize);
  device.answer(device.good_link(), std::array{device.window.get()});
  CHECK(device.read(VGPU_REG_GENERATION) == 2);
}

TEST_CASE("a reset while the hello has no answer, and one before the start") {
  Device device;
  vgpu_core_reset(device.core);
  CHECK(device.front.timer == 0);
  vgpu_core_start(device.core);
  device.connect();
  vgpu_core_reset(device.core);
  CHECK(device.broker.is_stub_gone());
  device.connect();
}

TEST_CASE("a guest that resets on and on makes no more connections than one that finds nobody, and few lines") {
  Device device;
  vgpu_core_start(device.core);
  unsigned connections = 0;
  for (int i = 0; i < 10000; ++i) {
    vgpu_core_reset(device.core);
    device.pass(1);
    if (device.broker.accept()) ++connections;
  }
  CHECK(connections <= 10000 / VGPU_CORE_RETRY_MS + 1);
  CHECK(connections > 10);
  CHECK(device.front.lines.size() <= VGPU_CORE_LINK_LINES + VGPU_CORE_LINK_LINES / 6 + 1);
}

TEST_CASE("a broker that links and closes on and on is met at the pace of the attempts, with bounded lines") {
  Device device;
  vgpu_core_start(device.core);
  for (int i = 0; i < 200; ++i) {
    device.connect();
    device.window = make_window(kWindowSize);
    device.answer(device.good_link(), std::array{device.window.get()});
    device.broker.hang_up();
    device.pump();
  }
  CHECK(device.front.now >= 1000 + 199 * VGPU_CORE_RETRY_MS);
  CHECK(device.front.lines.size() <= VGPU_CORE_LINK_LINES * 2);
}

TEST_CASE("the end of the device gives everything back, and leaves no descriptor behind") {
  const auto count = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), std::filesystem::directory_iterator());
  };
  const auto before = count();
  {
    Device device;
    device.link_up();
    const BrokersChannel closed, lost, open;
    device.open(0, closed);
    device.open(1, lost);
    device.open(2, open);
    device.command(VGPU_COMMAND_CLOSE, 0);
    device.send_closed(0, true);
    lost.end_worker();
    device.pump();
    lose_broker(device);
    device.answer_kept(meet_next_broker(device));
    vgpu_core_free(device.core);
    device.core = nullptr;
    CHECK(device.broker.is_stub_gone());
  }
  CHECK(count() == before);
}
