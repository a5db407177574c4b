#include "broker/doors/first_words.hpp"

#include <algorithm>
#include <cstring>

#include "common/abi/legacy_stub.h"
#include "common/abi/stub_link.h"
#include "common/base/log.hpp"

namespace vgpu::broker::doors {
namespace {

using Speaker = FirstWords::Speaker;

static_assert(kFirstBytes >= sizeof(vgpu_link_header) && kFirstBytes >= sizeof(vgpu_legacy_message_header) &&
              kFirstBytes >= offsetof(vgpu_stub_hello, vm_id) + sizeof(std::uint32_t));

template <typename T>
T take(std::span<const std::byte> bytes, std::size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

Labels labels_of_legacy(std::span<const std::byte> bytes) {
  const auto header = take<vgpu_legacy_message_header>(bytes, 0);
  return {header.vm_id, static_cast<std::uint8_t>(header.pool), header.priority};
}

/// Of another major version, or another message, only the header can be read: no labels.
Labels labels_of_stub(std::span<const std::byte> bytes) {
  const auto header = take<vgpu_link_header>(bytes, 0);
  if (header.type != VGPU_STUB_HELLO || header.major != VGPU_LINK_MAJOR) return {};
  return {take<std::uint32_t>(bytes, offsetof(vgpu_stub_hello, vm_id)),
          take<std::uint8_t>(bytes, offsetof(vgpu_stub_hello, pool)),
          take<std::uint8_t>(bytes, offsetof(vgpu_stub_hello, priority))};
}

/// Clients and stubs share the magic; the type tells them apart.
FirstWords judge_ours(std::span<const std::byte> bytes) {
  constexpr auto kType = offsetof(vgpu_link_header, type);
  if (bytes.size() < kType + sizeof(std::uint16_t)) return {};
  if (take<std::uint16_t>(bytes, kType) < VGPU_STUB_HELLO) return {Speaker::client, {}};
  if (bytes.size() < kFirstBytes) return {};
  return {Speaker::stub, labels_of_stub(bytes)};
}

}  // namespace

FirstWords judge_first_words(std::span<const std::byte> bytes) {
  if (bytes.size() < sizeof(std::uint32_t)) return {};
  const auto magic = take<std::uint32_t>(bytes, 0);
  if (magic == VGPU_LINK_MAGIC) return judge_ours(bytes);
  if (magic != VGPU_LEGACY_STUB_MAGIC) return {Speaker::nobody, {}};
  if (bytes.size() < kFirstBytes) return {};
  return {Speaker::legacy_stub, labels_of_legacy(bytes)};
}

std::string show_first_bytes(std::span<const std::byte> bytes) {
  std::string text;
  for (const auto byte : bytes) {
    const auto c = static_cast<unsigned char>(byte);
    if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\')
      text += static_cast<char>(c);
    else
      text += fmt::format("\\x{:02x}", c);
  }
  return text;
}

}  // namespace vgpu::broker::doors
