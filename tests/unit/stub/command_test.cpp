// The mailbox and the channel table.
#include <fcntl.h>
#include <sys/eventfd.h>

#include "common/control/messages.hpp"
#include "tests/unit/stub/device.hpp"

using namespace vgpu;
using namespace vgpu::stub;

TEST_CASE("a channel is opened: the hello reaches the broker unread, its reply and place the guest") {
  Device device;
  device.link_up();
  const auto message = device.ask_open(4092);
  REQUIRE(message);
  CHECK(message->header().type == VGPU_OPEN);
  const auto open = message->as<vgpu_open>();
  CHECK(open.channel == 0);
  CHECK(open.size == 4092);
  CHECK(open.hello[0] == 1);
  CHECK(open.hello[4091] != 0);
  CHECK(open.hello[4092] == 0);
  CHECK(device.read(VGPU_REG_STATUS) == VGPU_COMMAND_BUSY);
  CHECK(device.state(0) == VGPU_CHANNEL_OPENING);

  const BrokersChannel given;
  device.send_opened(0, given, 3 * kPiece);
  CHECK(device.read(VGPU_REG_STATUS) == VGPU_COMMAND_DONE);
  CHECK(device.read(VGPU_REG_RESULT) == 0);
  CHECK(device.read(VGPU_REPLY_BUFFER + 508) == 0x5a5a5a5a);
  CHECK(device.read(VGPU_REPLY_BUFFER + 512) == 0);
  CHECK(device.state(0) == VGPU_CHANNEL_OPEN);
  CHECK(device.page_state(0) == VGPU_CHANNEL_OPEN);
  CHECK(device.read(VGPU_CHANNEL_TABLE + VGPU_CHANNEL_OFFSET_LO) == 3 * kPiece);
  CHECK(device.read(VGPU_CHANNEL_TABLE + VGPU_CHANNEL_OFFSET_HI) == 0);
  CHECK(device.read(VGPU_CHANNEL_TABLE + VGPU_CHANNEL_CLIENT_LO) == 0x55667788);
  CHECK(device.read(VGPU_CHANNEL_TABLE + VGPU_CHANNEL_CLIENT_HI) == 0x11223344);
  REQUIRE(device.front.doorbells.contains(0));
  CHECK(device.front.doorbells.at(0).offset == VGPU_CHANNEL_PAGES);
  CHECK(device.mistakes() == 0);
}

TEST_CASE("a broker's refusal is the guest's reply, and the channel is free again") {
  Device device;
  device.link_up();
  device.ask_open();
  vgpu_opened refusal{};
  refusal.status = 2;
  refusal.reply[0] = 0x42;
  device.broker.send(refusal, VGPU_OPENED);
  device.pump();
  CHECK(device.read(VGPU_REG_STATUS) == VGPU_COMMAND_FAILED);
  CHECK(device.read(VGPU_REPLY_BUFFER) == 0x42);
  CHECK(device.state(0) == VGPU_CHANNEL_FREE);
}

TEST_CASE("a ring wakes the worker of its channel alone, whatever is written in whatever size") {
  Device device;
  device.link_up();
  const BrokersChannel first, second;
  device.open(0, first);
  device.open(1, second);
  for (const unsigned size : {1u, 2u, 4u, 8u}) vgpu_core_bar0_write(device.core, Device::page(1), 0, size);
  CHECK(first.rings() == 0);
  CHECK(second.rings() == 4);
  CHECK(device.mistakes() == 0);
}

TEST_CASE("a doorbell whose counter is full does not hold the device up") {
  Device device;
  device.link_up();
  const BrokersChannel given;
  device.open(0, given);
  const std::uint64_t nearly_full = UINT64_MAX - 1;
  REQUIRE(::write(given.doorbell.get(), &nearly_full, 8) == 8);
  device.write(Device::page(0), 1);
  CHECK(given.rings() == nearly_full);
}

TEST_CASE("a front that does not take doorbells leaves them to the device") {
  Device device;
  device.front.takes_doorbells = false;
  device.link_up();
  const BrokersChannel given;
  device.open(0, given);
  device.write(Device::page(0), 1);
  CHECK(given.rings() == 1);
}

TEST_CASE("a device that traces says which call rang, and takes every doorbell itself") {
  auto config = Device::default_config();
  config.vm_id = 7;
  config.traces = true;
  Device device(config);
  device.link_up();
  const BrokersChannel given;
  device.open(0, given);
  CHECK(device.front.doorbells.empty());
  device.write(Device::page(0), 124);
  CHECK(given.rings() == 1);
  CHECK(device.front.count_lines("[vgpu] vm_id=7: CUDA doorbell received, channel 0, call 124") == 1);
}

TEST_CASE("a channel is closed when the broker says that it is free") {
  Device device;
  device.link_up();
  const BrokersChannel given;
  device.open(0, given);
  device.command(VGPU_COMMAND_CLOSE, 0);
  CHECK(device.read(VGPU_REG_STATUS) == VGPU_COMMAND_BUSY);
  CHECK(device.state(0) == VGPU_CHANNEL_CLOSING);
  CHECK(device.broker.receive()->as<vgpu_close>().channel == 0);
  device.send_closed(0, false, 8);  // its worker ends first
  CHECK(device.state(0) == VGPU_CHANNEL_CLOSING);
  device.send_closed(0, true);
  CHECK(device.read(VGPU_REG_STATUS) == VGPU_COMMAND_DONE);
  CHECK(device.state(0) == VGPU_CHANNEL_FREE);
  CHECK(device.exit_class(0) == 0);
  CHECK(device.front.doorbells.empty());
  device.write(Device::page(0), 1);
  CHECK(given.rings() == 0);
  CHECK(device.mistakes() == 1);
}

TEST_CASE("a worker that ends leaves its channel lost, with the class that the broker tells, until it is closed") {
  Device device;
  device.link_up();
  const BrokersChannel given;
  device.open(0, given);
  const bool is_broker_first = GENERATE(true, false);
  if (is_broker_first) device.send_closed(0, false, 7);
  given.end_worker();
  device.pump();
  CHECK(device.state(0) == VGPU_CHANNEL_LOST);
  CHECK(device.page_state(0) == VGPU_CHANNEL_LOST);
  if (!is_broker_first) device.send_closed(0, false, 7);
  CHECK(device.exit_class(0) == 7);
  device.write(Device::page(0), 1);
  CHECK(device.mistakes() == 0);  // the client need not know yet
  device.ask_open();
  CHECK(device.state(0) == VGPU_CHANNEL_LOST);
  CHECK(device.state(1) == VGPU_CHANNEL_OPENING);
  device.send_opened(1, BrokersChannel{}, kPiece);
  device.command(VGPU_COMMAND_CLOSE, 0);
  device.send_closed(0, true);
  CHECK(device.state(0) == VGPU_CHANNEL_FREE);
}

TEST_CASE("one command at a time") {
  Device device;
  device.link_up();
  device.open(0, BrokersChannel{});
  device.ask_open();
  CHECK(device.read(VGPU_REPLY_BUFFER) == 0);  // nothing of the command before
  device.command(VGPU_COMMAND_OPEN);
  device.write(VGPU_REG_ARGUMENT, 1);
  device.write(VGPU_REQUEST_BUFFER, 1);
  CHECK(device.mistakes() == 3);
  CHECK(device.read(VGPU_REG_ARGUMENT) == VGPU_MAILBOX_SIZE);
  CHECK(device.read(VGPU_REQUEST_BUFFER) == 0x01010101);
  CHECK(device.read(VGPU_REG_STATUS) == VGPU_COMMAND_BUSY);
  CHECK_FALSE(device.broker.receive());
}

TEST_CASE("commands that cannot be are invalid") {
  Device device;
  device.link_up();
  const auto command = GENERATE(0u, 3u, 0xffu, VGPU_COMMAND_OPEN | 1u << 8, VGPU_COMMAND_CLOSE,
                                VGPU_COMMAND_CLOSE | 128u << 8, VGPU_COMMAND_CLOSE | 0xffffffu << 8);
  device.write(VGPU_REG_ARGUMENT, 4096);
  device.write(VGPU_REG_COMMAND, command);
  CHECK(device.read(VGPU_REG_STATUS) == VGPU_COMMAND_INVALID);
  CHECK(device.mistakes() == 1);
  CHECK_FALSE(device.broker.receive());
}

TEST_CASE("a hello of no length or too much is invalid") {
  Device device;
  device.link_up();
  const auto argument = GENERATE(0u, 4097u, ~0u);
  device.write(VGPU_REG_ARGUMENT, argument);
  device.command(VGPU_COMMAND_OPEN);
  CHECK(device.read(VGPU_REG_STATUS) == VGPU_COMMAND_INVALID);
  CHECK_FALSE(device.broker.receive());
}

TEST_CASE("when all channels are open, the device refuses in the broker's words") {
  Device device;
  vgpu_core_start(device.core);
  device.connect();
  device.window = make_window(kWindowSize);
  auto link = device.good_link();
  link.channels = 2;
  device.answer(link, std::array{device.window.get()});
  const BrokersChannel first, second;
  device.open(0, first);
  device.open(1, second);
  CHECK_FALSE(device.ask_open());
  CHECK(device.read(VGPU_REG_STATUS) == VGPU_COMMAND_FAILED);
  control::HelloReply reply;
  std::array<std::byte, sizeof reply> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<std::byte>(vgpu_core_bar0_read(device.core, VGPU_REPLY_BUFFER + i, 1));
  std::memcpy(static_cast<void*>(&reply), bytes.data(), sizeof reply);
  CHECK(reply.header.magic == control::kMagic);
  CHECK(reply.header.type == control::MessageType::hello_reply);
  CHECK(reply.header.size == sizeof reply);
  CHECK(reply.header.version == control::kVersion);
  CHECK(reply.status == control::HelloStatus::limit);
  CHECK(reply.candidate_count == 0);
  CHECK_THAT(control::get_text(reply.text), Catch::Contains("all 2 channels"));

  device.command(VGPU_COMMAND_CLOSE, 0);
  device.send_closed(0, true);
  CHECK(device.broker.receive_all().size() == 1);
  CHECK(device.ask_open()->as<vgpu_open>().channel == 0);
}

TEST_CASE("a broker that opens or closes out of turn, or wrongly, is left") {
  Device device;
  device.link_up();
  const BrokersChannel given;
  const std::array fds{given.doorbell.get(), given.worker.get()};
  vgpu_opened opened{};
  vgpu_closed closed{};
  SECTION("OPENED that nobody asked for") { device.broker.send(opened, VGPU_OPENED, fds); }
  SECTION("OPENED for another channel") {
    device.ask_open();
    opened.channel = 1;
    device.broker.send(opened, VGPU_OPENED, fds);
  }
  SECTION("OPENED for no channel") {
    device.ask_open();
    opened.channel = ~0u;
    device.broker.send(opened, VGPU_OPENED, fds);
  }
  SECTION("OPENED without descriptors") {
    device.ask_open();
    device.broker.send(opened, VGPU_OPENED);
  }
  SECTION("a refusal with descriptors") {
    device.ask_open();
    opened.status = 1;
    device.broker.send(opened, VGPU_OPENED, fds);
  }
  SECTION("a channel beyond the window") {
    device.ask_open();
    opened.window_offset = kWindowSize;
    device.broker.send(opened, VGPU_OPENED, fds);
  }
  SECTION("a channel that begins anywhere") {
    device.ask_open();
    opened.window_offset = 4096;
    device.broker.send(opened, VGPU_OPENED, fds);
  }
  SECTION("a doorbell that is none") {
    device.ask_open();
    const auto window = make_window(kWindowSize);
    REQUIRE(::fcntl(window.get(), F_SETFL, O_NONBLOCK) == 0);
    device.broker.send(opened, VGPU_OPENED, std::array{window.get(), given.worker.get()});
  }
  SECTION("CLOSED for no channel") {
    closed.channel = VGPU_CHANNEL_MAX;
    device.broker.send(closed, VGPU_CLOSED);
  }
  SECTION("a doorbell that would make the device wait") {
    device.ask_open();
    const UniqueFd blocking(::eventfd(0, EFD_CLOEXEC));
    device.broker.send(opened, VGPU_OPENED, std::array{blocking.get(), given.worker.get()});
  }
  SECTION("released without having been asked") {
    device.open(0, given);
    closed.released = 1;
    device.broker.send(closed, VGPU_CLOSED);
  }
  device.pump();
  CHECK(device.ended_by_nonsense());
  CHECK(device.read(VGPU_REG_STATUS) != VGPU_COMMAND_BUSY);
}
