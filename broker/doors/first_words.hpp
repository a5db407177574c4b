// What whoever came through a door is, by the first bytes it sends: they are looked at, never taken.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace vgpu::broker::doors {

/// What a stub says of itself. Labels, never an identity.
struct Labels {
  std::uint32_t vm_id = 0;    // 0: none
  std::uint8_t pool = 0;      // 'A', 'B'
  std::uint8_t priority = 0;  // 0 low, 1 medium, 2 high
};

struct FirstWords {
  enum class Speaker {
    unclear,      // too little has come
    client,       // a hello, or what wants to be one: the greeting says what is wrong with it
    stub,         // common/abi/stub_link.h
    legacy_stub,  // revision 2
    nobody        // none of these
  };
  Speaker speaker = Speaker::unclear;
  Labels labels;  // of a stub
};

/// As many bytes as any speaker's first words are judged by; each sends more than that.
inline constexpr std::size_t kFirstBytes = 24;

FirstWords judge_first_words(std::span<const std::byte> bytes);

/// For the log: printable bytes as they are, others as \xNN.
std::string show_first_bytes(std::span<const std::byte> bytes);

}  // namespace vgpu::broker::doors
