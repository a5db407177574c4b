// What somebody is by its first bytes.
#include "broker/doors/first_words.hpp"

#include <catch2/catch.hpp>
#include <cstring>
#include <vector>

#include "common/control/messages.hpp"

using namespace vgpu::broker::doors;
using namespace vgpu::control;
using Speaker = FirstWords::Speaker;

namespace {

template <typename Message>
std::vector<std::byte> bytes_of(const Message& message) {
  const auto bytes = std::as_bytes(std::span(&message, 1));
  return {bytes.begin(), bytes.end()};
}

std::vector<std::byte> text(const char* text) {
  const auto bytes = std::as_bytes(std::span(text, std::strlen(text)));
  return {bytes.begin(), bytes.end()};
}

vgpu_stub_hello stub_hello() {
  vgpu_stub_hello hello{};
  hello.header = {VGPU_LINK_MAGIC, VGPU_STUB_HELLO, 0, sizeof hello, VGPU_LINK_MAJOR, 0};
  hello.vm_id = 0x01020304;
  hello.pool = 'B';
  hello.priority = 2;
  return hello;
}

// Written from the field's protocol: magic, type, vm_id, request_id, pool, priority, padding, length.
std::vector<std::byte> legacy_request() {
  const unsigned char bytes[24] = {0x55, 0x50, 0x47, 0x56, 1,   0, 0, 0, 9,  0, 0, 0,
                                   77,   0,    0,    0,    'A', 1, 0, 0, 40, 0, 0, 0};
  return bytes_of(bytes);
}

/// Who it is, asked with each length: unclear up to some length, then always the same.
Speaker judged_in_pieces(const std::vector<std::byte>& bytes) {
  auto speaker = Speaker::unclear;
  for (std::size_t count = 0; count <= bytes.size(); ++count) {
    const auto now = judge_first_words(std::span(bytes).first(count)).speaker;
    if (speaker != Speaker::unclear) CHECK(now == speaker);
    speaker = now;
  }
  return speaker;
}

}  // namespace

TEST_CASE("clients, stubs and stubs of revision 2 are told apart, however slowly they speak") {
  Hello hello;
  hello.header.type = MessageType::hello;
  CHECK(judged_in_pieces(bytes_of(hello)) == Speaker::client);
  CHECK(judged_in_pieces(bytes_of(stub_hello())) == Speaker::stub);
  CHECK(judged_in_pieces(legacy_request()) == Speaker::legacy_stub);
  CHECK(judged_in_pieces(text("test\n")) == Speaker::nobody);
  CHECK(judged_in_pieces(text("GET / HTTP/1.0\r\n\r\n")) == Speaker::nobody);
  CHECK(judged_in_pieces(text("VGP")) == Speaker::unclear);
}

TEST_CASE("what breaks the rules of a protocol goes to its owner, who says so") {
  Hello hello;
  hello.header.type = MessageType::worker_ready;
  CHECK(judge_first_words(bytes_of(hello)).speaker == Speaker::client);
  auto open = stub_hello();
  open.header.type = VGPU_OPEN;
  const auto words = judge_first_words(bytes_of(open));
  CHECK(words.speaker == Speaker::stub);
  CHECK(words.labels.vm_id == 0);
}

TEST_CASE("labels come from the hello of a stub, and from the header of revision 2") {
  const auto ours = judge_first_words(bytes_of(stub_hello())).labels;
  CHECK(ours.vm_id == 0x01020304);
  CHECK(ours.pool == 'B');
  CHECK(ours.priority == 2);
  const auto old = judge_first_words(legacy_request()).labels;
  CHECK(old.vm_id == 9);
  CHECK(old.pool == 'A');
  CHECK(old.priority == 1);
  auto foreign = stub_hello();
  foreign.header.major = 9;  // whose fields we do not know
  CHECK(judge_first_words(bytes_of(foreign)).labels.vm_id == 0);
}

TEST_CASE("first bytes in the log cannot be mistaken for anything else") {
  CHECK(show_first_bytes(text("a \"b\"\\\n\x1b[31m")) == "a \\x22b\\x22\\x5c\\x0a\\x1b[31m");
}
