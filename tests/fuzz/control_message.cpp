// Everything that is done with a control message before it is believed: of every type, in pieces of any size, with any
// number of descriptors, of any version.
//
// Input: type expected, size of the pieces, descriptors that come (low half) with which piece (high half), what of the
// header is set right; then the message, zeros behind what the input has.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>

#include "broker/doors/first_words.hpp"
#include "broker/vm/newcomer.hpp"
#include "common/control/environment.hpp"
#include "common/control/frame.hpp"
#include "common/control/negotiate.hpp"
#include "tests/fuzz/input.hpp"

namespace {

using namespace vgpu::control;
using vgpu::base::UniqueFd;

const int source = ::open("/dev/null", O_RDONLY | O_CLOEXEC);

FdList some_fds(std::size_t count) {
  FdList fds;
  for (std::size_t i = 0; i < count; ++i) fds.emplace_back(::fcntl(source, F_DUPFD_CLOEXEC, 0));
  return fds;
}

/// The number that the next descriptor would get: the same before and after, or one was lost.
int next_fd() {
  const int probe = ::fcntl(source, F_DUPFD_CLOEXEC, 0);
  ::close(probe);
  return probe;
}

void use_hello(const Hello& hello) {
  (void)get_text(hello.label);
  (void)unpack_environment(hello);
  const Offer client{hello.header.version, hello.oldest_minor, hello.features};
  for (const Version host : {kVersion, Version{kVersion.major, 7}, Version{2, 0}}) {
    const auto agreement = negotiate(client, host_offer(host, kFeatures));
    if (agreement && (agreement.value().version.minor > host.minor || (agreement.value().features & ~kFeatures) != 0))
      std::abort();
  }
}

void use_open(const vgpu_open& message) {
  const auto newcomer = vgpu::broker::vm::read_newcomer(message);
  if (newcomer) use_hello(newcomer.value().hello);
}

void use(const Frame& frame) {
  const auto header = frame.header();
  if (!is_fd_count_valid(header.type, frame.fds.size()) || header.size != message_size(header.type)) std::abort();
  if (header.type == MessageType::hello) use_hello(frame.as<Hello>());
  if (header.type == MessageType::open) use_open(frame.as<vgpu_open>());
  if (header.type == MessageType::hello_reply) (void)get_text(frame.as<HelloReply>().text);
  if (header.type == MessageType::worker_ready) (void)get_text(frame.as<WorkerReady>().device_name);
  if (header.type == MessageType::worker_status) (void)get_text(frame.as<WorkerStatus>().text);
}

struct Plan {
  MessageType type;
  std::size_t step, fds, fds_with;
};

void parse_stream(const Plan& plan, std::span<const std::byte> message) {
  FrameParser parser(plan.type);
  for (std::size_t piece = 0; !message.empty() && parser.state() == FrameParser::State::incomplete; ++piece) {
    const auto space = parser.space();
    const auto count = std::min({plan.step, space.size(), message.size()});
    std::copy_n(message.begin(), count, space.begin());
    message = message.subspan(count);
    parser.advance(count, piece == plan.fds_with ? some_fds(plan.fds) : FdList{});
  }
  if (parser.state() == FrameParser::State::complete) use(parser.frame());
  if (parser.state() == FrameParser::State::failed && (parser.failure().empty() || !parser.frame().fds.empty()))
    std::abort();
}

/// What the broker decides by the first bytes, before any of this: the more there is of them, the same or clearer.
void look_at(std::span<const std::byte> message) {
  using vgpu::broker::doors::FirstWords;
  using vgpu::broker::doors::judge_first_words;
  const auto words = judge_first_words(message);
  for (std::size_t count = 0; count < std::min<std::size_t>(message.size(), 32); ++count) {
    const auto earlier = judge_first_words(message.first(count)).speaker;
    if (earlier != FirstWords::Speaker::unclear && earlier != words.speaker) std::abort();
  }
  (void)vgpu::broker::doors::show_first_bytes(message.first(std::min<std::size_t>(message.size(), 24)));
  FrameHeader header;
  std::memcpy(&header, message.data(), sizeof header);
  const bool is_ours = words.speaker == FirstWords::Speaker::client || words.speaker == FirstWords::Speaker::stub;
  if (is_ours && header.magic != kMagic) std::abort();
}

/// The header as an honest sender fills it, as far as the bits of `right` say.
void correct(std::span<std::byte> message, const Plan& plan, unsigned right) {
  FrameHeader header;
  std::memcpy(&header, message.data(), sizeof header);
  const FrameHeader honest{kMagic, plan.type, static_cast<std::uint16_t>(plan.fds),
                           static_cast<std::uint32_t>(message_size(plan.type)), kVersion};
  if ((right & 1) != 0) header.magic = honest.magic;
  if ((right & 2) != 0) header.type = honest.type;
  if ((right & 4) != 0) header.fd_count = honest.fd_count;
  if ((right & 8) != 0) header.size = honest.size;
  if ((right & 16) != 0) header.version.major = honest.version.major;
  std::memcpy(message.data(), &header, sizeof header);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  vgpu::fuzz::Input input(data, size);
  Plan plan{};
  // 1 to 7 between clients, workers and the broker; 16 to 23 on a link; the rest do not exist
  plan.type = static_cast<MessageType>(input.byte() % 26);
  plan.step = 1 + input.byte() * 4u;
  const unsigned fds = input.byte(), right = input.byte();
  plan.fds = fds % 16;
  plan.fds_with = fds / 16;
  const auto text = std::as_bytes(input.rest());
  const auto length = (right & 32) != 0 ? std::max(message_size(plan.type), sizeof(FrameHeader)) : text.size();
  std::vector<std::byte> message(std::max(length, sizeof(FrameHeader)));
  std::copy_n(text.begin(), std::min(text.size(), message.size()), message.begin());
  correct(message, plan, right);
  look_at(message);
  const int before = next_fd();
  parse_stream(plan, message);
  if (const auto packet = parse_packet(message, some_fds(plan.fds))) use(packet.value());
  if (next_fd() != before) std::abort();
  return 0;
}
