// Messages of the control sockets: client <-> broker (stream) and worker -> broker (seqpacket). Every message is one
// struct of fixed layout behind a FrameHeader; its size and its number of descriptors are exact and checked on arrival.
//
// Rules for change: the FrameHeader never changes. Within one major version a message keeps its size; what a new minor
// version adds goes into reserved space and means nothing while zero.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "common/abi/stub_link.h"

namespace vgpu::control {

inline constexpr std::uint32_t kMagic = 0x43504756;  // "VGPC"

struct Version {
  std::uint16_t major = 0;
  std::uint16_t minor = 0;
  bool operator==(const Version&) const = default;
};
inline constexpr Version kVersion{1, 0};

/// Feature bits of Hello and HelloReply: each side offers what it knows, the intersection holds.
inline constexpr std::uint64_t kFeatureFutexWake = 1;    // sleepers wait in futex() on words of the window
inline constexpr std::uint64_t kFeatureWorkerPidfd = 2;  // the reply carries a pidfd of the worker as third descriptor
inline constexpr std::uint64_t kFeatureExtents = 4;      // the channel may grow, piece by piece (worker messages)
inline constexpr std::uint64_t kFeatureDevice = 8;       // window and doorbell are BARs of a PCI device: see HelloReply
/// What this broker knows. kFeatureDevice is guestd's to add, in what it hands to its clients.
inline constexpr std::uint64_t kFeatures = kFeatureFutexWake | kFeatureWorkerPidfd | kFeatureExtents;

enum class MessageType : std::uint16_t {
  hello = 1,
  hello_reply = 2,
  worker_ready = 3,
  worker_status = 4,
  extent_request = 5,
  extent_grant = 6,
  extent_return = 7,
  legacy_result = 8,
  share_offer = 9,
  share_request = 10,
  share_answer = 11,
  // The link to a stub: common/abi/stub_link.h
  stub_hello = VGPU_STUB_HELLO,
  link = VGPU_LINK,
  open = VGPU_OPEN,
  opened = VGPU_OPENED,
  close = VGPU_CLOSE,
  closed = VGPU_CLOSED,
  legacy_request = VGPU_LEGACY_REQ,
  legacy_response = VGPU_LEGACY_RESP
};

struct FrameHeader {
  std::uint32_t magic = kMagic;
  MessageType type{};
  std::uint16_t fd_count = 0;
  std::uint32_t size = 0;  // bytes, header included
  Version version = kVersion;
};
static_assert(sizeof(FrameHeader) == sizeof(vgpu_link_header) && kMagic == VGPU_LINK_MAGIC);

/// Client to broker, first and only message. No descriptors.
struct Hello {
  static constexpr MessageType kType = MessageType::hello;
  FrameHeader header;              // header.version: the newest version the client speaks
  std::uint16_t oldest_minor = 0;  // the oldest minor of that major it speaks
  std::uint16_t reserved = 0;
  std::uint32_t environment_size = 0;  // bytes used in `environment`
  std::uint64_t features = 0;
  std::array<char, 64> label{};          // process name: a label, never an identity
  std::array<char, 4000> environment{};  // "NAME=value\0" one after the other; see environment.hpp
};
static_assert(sizeof(Hello) == 4096 && std::is_trivially_copyable_v<Hello>);

enum class HelloStatus : std::uint32_t {
  ok = 0,
  version = 1,    // no common version
  limit = 2,      // too many clients
  malformed = 3,  // the hello broke a rule
  internal = 4,   // the host could not set the channel up
  stopping = 5    // the broker is shutting down
};

/// Where the client may map the window, and the range it keeps free for device addresses when it does.
struct AddressCandidate {
  std::uint64_t window_base;
  std::uint64_t arena_base;
  std::uint64_t arena_size;
};

/// Broker to client. With status ok the descriptors window, doorbell and, with kFeatureWorkerPidfd, a pidfd of the
/// worker; else none. With kFeatureDevice the window is BAR1 and the doorbell BAR0 of the device, both to be mapped;
/// the channel's page (common/abi/device_registers.h) lies at doorbell_offset.
struct HelloReply {
  static constexpr MessageType kType = MessageType::hello_reply;
  FrameHeader header;
  HelloStatus status{};
  Version chosen;
  std::uint64_t features = 0;
  std::uint64_t window_size = 0;  // bytes of the channel that are there from the start
  std::uint64_t client_id = 0;    // the broker's number of this client, as in its log
  std::uint32_t worker_pid = 0;
  std::uint32_t candidate_count = 0;
  std::uint64_t window_offset = 0;    // where they lie behind the window's descriptor
  std::uint64_t window_capacity = 0;  // what the channel may grow to; window_size if it cannot
  std::uint64_t doorbell_offset = 0;
  std::array<AddressCandidate, 8> candidates{};
  std::array<char, 240> text{};  // why it was refused: one sentence
};
static_assert(sizeof(HelloReply) == 512 && std::is_trivially_copyable_v<HelloReply>);

/// Worker to broker, once: the driver is open and the worker reads its ring. No descriptors.
struct WorkerReady {
  static constexpr MessageType kType = MessageType::worker_ready;
  FrameHeader header;
  std::int32_t driver_version = 0;  // as cuDriverGetVersion says it
  std::uint32_t device_count = 0;
  std::array<char, 128> device_name{};  // of device 0
  std::array<char, 128> driver{};       // what was opened
};
static_assert(sizeof(WorkerReady) == 280 && std::is_trivially_copyable_v<WorkerReady>);

/// Worker to broker, when something an operator must know has happened, mostly just before it exits. No descriptors.
struct WorkerStatus {
  static constexpr MessageType kType = MessageType::worker_status;
  FrameHeader header;
  std::uint32_t cuda_error = 0;  // CUresult, 0 if none is concerned
  std::uint32_t reserved = 0;
  std::array<char, 256> text{};
};
static_assert(sizeof(WorkerStatus) == 280 && std::is_trivially_copyable_v<WorkerStatus>);

/// Worker to broker: the client's channel shall grow by `size` bytes. No descriptors. Answered by an ExtentGrant.
struct ExtentRequest {
  static constexpr MessageType kType = MessageType::extent_request;
  FrameHeader header;
  std::uint64_t size = 0;  // a multiple of VGPU_EXTENT_ALIGN
};
static_assert(sizeof(ExtentRequest) == 24 && std::is_trivially_copyable_v<ExtentRequest>);

/// Broker to worker: the bytes [channel_offset, channel_offset + size) of the channel lie at window_offset of the
/// window's memory. size 0: there is no room. No descriptors.
struct ExtentGrant {
  static constexpr MessageType kType = MessageType::extent_grant;
  FrameHeader header;
  std::uint64_t channel_offset = 0;  // the channel's size before
  std::uint64_t window_offset = 0;
  std::uint64_t size = 0;
};
static_assert(sizeof(ExtentGrant) == 40 && std::is_trivially_copyable_v<ExtentGrant>);

/// Worker to broker: neither side uses the last granted piece, of `size` bytes, any more. No descriptors, no answer.
struct ExtentReturn {
  static constexpr MessageType kType = MessageType::extent_return;
  FrameHeader header;
  std::uint64_t size = 0;
};
static_assert(sizeof(ExtentReturn) == 24 && std::is_trivially_copyable_v<ExtentReturn>);

/// What one worker gave away for the other workers of its VM, by a token that nobody can guess.
inline constexpr std::size_t kShareTokenSize = 16;
inline constexpr std::size_t kShareDataSize = 64;
/// What a worker allows itself; one that sends twice as many is cut off.
inline constexpr unsigned kMostSharesPerSecond = 2000;
using ShareToken = std::array<std::uint8_t, kShareTokenSize>;
enum class ShareKind : std::uint32_t {
  none = 0,
  memory = 1,
  event = 2,
  physical_memory = 3,
  pool = 4,
  pool_memory = 5
};

/// Worker to broker: whoever of the same VM names the token gets this. One descriptor or none. No answer; it holds
/// until the worker ends.
struct ShareOffer {
  static constexpr MessageType kType = MessageType::share_offer;
  FrameHeader header;
  ShareToken token{};
  ShareKind kind{};
  std::uint32_t reserved = 0;
  std::array<std::uint8_t, kShareDataSize> data{};  // the driver's handle; means nothing to the broker
};
static_assert(sizeof(ShareOffer) == 104 && std::is_trivially_copyable_v<ShareOffer>);

/// Worker to broker: what is behind this token? No descriptors. Answered by a ShareAnswer.
struct ShareRequest {
  static constexpr MessageType kType = MessageType::share_request;
  FrameHeader header;
  ShareToken token{};
};
static_assert(sizeof(ShareRequest) == 32 && std::is_trivially_copyable_v<ShareRequest>);

/// Broker to worker: what was offered, with its descriptor if it had one; kind none if nobody of the VM offers it.
struct ShareAnswer {
  static constexpr MessageType kType = MessageType::share_answer;
  FrameHeader header;
  ShareToken token{};
  ShareKind kind{};
  std::uint32_t reserved = 0;
  std::array<std::uint8_t, kShareDataSize> data{};
};
static_assert(sizeof(ShareAnswer) == 104 && std::is_trivially_copyable_v<ShareAnswer>);

/// Legacy worker to broker: what came of a vgpu_legacy_request, which the broker passed on to it. No descriptors.
struct LegacyResult {
  static constexpr MessageType kType = MessageType::legacy_result;
  FrameHeader header;
  std::uint32_t request_id = 0;  // the request's
  std::uint32_t error = 0;       // enum vgpu_legacy_error
  std::uint32_t length = 0;      // bytes of the payload that count
  std::uint32_t reserved = 0;
  std::array<std::uint8_t, VGPU_LEGACY_BUFFER_SIZE> payload{};  // struct vgpu_legacy_answer and what belongs to it
  std::array<char, 64> asked{};                                 // for the log: "100+200"
  std::array<char, 240> came{};                                 // for the log: "300", or what went wrong
};
static_assert(sizeof(LegacyResult) == 1360 && std::is_trivially_copyable_v<LegacyResult>);

inline constexpr std::size_t kMaxMessageSize = sizeof(vgpu_open);  // the largest of all, on any of these sockets
inline constexpr std::size_t kMaxMessageFds = 3;

/// The exact size of messages of `type` in our major version, 0 if there is no such type.
std::size_t message_size(MessageType type);
/// True if a message of `type` may carry `count` descriptors.
bool is_fd_count_valid(MessageType type, std::size_t count);

/// Copies `text` into a fixed field, cut so that the field always ends with a NUL.
void set_text(std::span<char> field, std::string_view text);
/// The text of a field that the other side wrote: up to the first NUL, unprintable bytes shown as '?'.
std::string get_text(std::span<const char> field);

}  // namespace vgpu::control
