#include "tests/process/broker/fake_stub.hpp"

#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <cstdio>

#include "common/control/socket_io.hpp"

namespace vgpu::test {

using control::MessageType;

FakeStub::FakeStub(const std::string& path) : socket(connect_raw(path)) { REQUIRE(socket); }

void FakeStub::say_hello(std::uint64_t window_size, int shown, std::uint64_t open_channels) {
  vgpu_stub_hello hello{};
  hello.pool = 'A';
  hello.priority = 1;
  hello.vm_id = 7;
  hello.window_size = window_size;
  hello.channels = VGPU_CHANNEL_MAX;
  hello.open[0] = open_channels;
  send(hello, MessageType::stub_hello, {&shown, shown >= 0 ? 1u : 0u});
}

vgpu_link FakeStub::take_link() {
  auto frame = take(MessageType::link);
  if (!frame.fds.empty()) window = std::move(frame.fds.front());
  return frame.as<vgpu_link>();
}

void FakeStub::send_bytes(const void* data, std::size_t size, std::span<const int> fds) {
  REQUIRE(control::send_bytes(socket.get(), data, size, fds, soon()));
}

control::Frame FakeStub::take(MessageType type) {
  auto frame = control::receive_message(socket.get(), type, soon());
  if (!frame) FAIL(frame.error().text);
  return std::move(*frame);
}

bool FakeStub::is_cut_off() {
  char bytes[4096];
  for (const auto deadline = soon(); !deadline.passed();) {
    pollfd entry{socket.get(), POLLIN, 0};
    if (poll(&entry, 1, deadline.remaining_ms()) <= 0) return false;
    if (recv(socket.get(), bytes, sizeof bytes, MSG_DONTWAIT) <= 0) return true;
  }
  return false;
}

void FakeStub::close_channel(std::uint32_t index) {
  vgpu_close message{};
  message.channel = index;
  send(message, MessageType::close);
}

vgpu_open open_message(std::uint32_t index) {
  vgpu_open message{};
  auto hello = hello_for_test();
  hello.header.type = MessageType::hello;
  hello.header.size = sizeof hello;
  message.channel = index;
  message.size = sizeof hello;
  std::memcpy(message.hello, &hello, sizeof hello);
  return message;
}

control::HelloReply reply_in(const vgpu_opened& opened) {
  control::HelloReply reply;
  std::memcpy(static_cast<void*>(&reply), opened.reply, sizeof reply);
  return reply;
}

StubClient::StubClient(FakeStub& stub, std::uint32_t index) {
  stub.send(open_message(index), MessageType::open);
  auto frame = stub.take(MessageType::opened);
  opened = frame.as<vgpu_opened>();
  reply = reply_in(opened);
  INFO(control::get_text(reply.text));
  REQUIRE(opened.status == 0);
  REQUIRE(frame.fds.size() == 2);
  doorbell = std::move(frame.fds[0]);
  worker = std::move(frame.fds[1]);
  void* base = mmap(nullptr, VGPU_HEAP_OFFSET + VGPU_EXTENT_ALIGN, PROT_READ | PROT_WRITE, MAP_SHARED,
                    stub.window.get(), static_cast<off_t>(opened.window_offset));
  REQUIRE(base != MAP_FAILED);
  window_ = static_cast<char*>(base);
}

StubClient::~StubClient() {
  if (window_ != nullptr) munmap(window_, VGPU_HEAP_OFFSET + VGPU_EXTENT_ALIGN);
}

void StubClient::order(const std::string& text) {
  strcpy(heap(), text.c_str());
  const std::uint64_t one = 1;
  REQUIRE(write(doorbell.get(), &one, sizeof one) == sizeof one);
}

void StubClient::order_and_wait(const std::string& text) {
  const auto before = control().worker_state;
  order(text);
  REQUIRE(eventually([&] { return __atomic_load_n(&control().worker_state, __ATOMIC_SEQ_CST) != before; }));
}

StubClient::Growth StubClient::grow(std::uint64_t size) {
  order_and_wait("grow " + std::to_string(size));
  Growth growth;
  REQUIRE(sscanf(heap(), "%llu %llu %llu", &growth.channel_offset, &growth.window_offset, &growth.size) == 3);
  return growth;
}

}  // namespace vgpu::test
