// libFuzzer target: everything that is done with a control message before it is believed. First byte: the message type
// and the size of the pieces it comes in; the rest: what the other side sends.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "common/control/environment.hpp"
#include "common/control/frame.hpp"
#include "common/control/negotiate.hpp"

namespace {

using namespace vgpu::control;

void use(const Frame& frame) {
  const auto hello = frame.as<Hello>();
  (void)get_text(hello.label);
  (void)unpack_environment(hello);
  (void)negotiate({hello.header.version, hello.oldest_minor, hello.features}, host_offer(kVersion, kFeatures));
}

void parse_stream(MessageType type, std::size_t step, std::span<const std::byte> input) {
  FrameParser parser(type);
  while (!input.empty() && parser.state() == FrameParser::State::incomplete) {
    const auto space = parser.space();
    const auto count = std::min({step, space.size(), input.size()});
    std::copy_n(input.begin(), count, space.begin());
    input = input.subspan(count);
    parser.advance(count, {});
  }
  if (parser.state() == FrameParser::State::complete && type == MessageType::hello) use(parser.frame());
}

}  // namespace

int fuzz_control_message(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const auto input = std::as_bytes(std::span(data + 1, size - 1));
  parse_stream(static_cast<MessageType>(data[0] % 6), 1 + data[0] / 6u, input);
  (void)parse_packet(input, {});
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz_control_message(data, size);
}
