// One request through the legacy page: the field's self-test and test program, and their verdicts.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "shim/guestd/registers.hpp"

namespace vgpu::guest {

struct LegacyVerdict {
  enum class Kind {
    computed,     // the host computed: all is well
    answered,     // the host answered with an error: doorbell and answer come through
    stayed_idle,  // the doorbell was never dispatched
    stuck_busy,   // dispatched, and never answered
    wrong         // answered with something else than the sum
  };
  Kind kind = Kind::stayed_idle;
  uint32_t error = 0;  // enum vgpu_legacy_error, with answered
  uint32_t left = 0;   // what was to be added
  uint32_t right = 0;
  uint32_t result = 0;  // with computed and wrong

  /// The way from the doorbell and back works.
  bool is_pass() const { return kind == Kind::computed || kind == Kind::answered; }
  /// In the words that operators of the field know.
  std::string text() const;
  /// "Result: 100 + 200 = 300"
  std::string equation() const;
  std::string cause() const;   // empty with computed
  std::string remedy() const;  // the same
};

struct LegacyTimes {
  std::chrono::milliseconds dispatch{1000};  // the device takes a request at once
  std::chrono::milliseconds answer{8000};    // it gives up after 5 s by itself
};

/// Has the host add two numbers, modulo 2^32. A request of somebody else that is under way is waited for.
LegacyVerdict add_on_host(guestd::Registers& registers, uint32_t left, uint32_t right, LegacyTimes times = {});
/// The self-test's: 100 + 200.
LegacyVerdict test_legacy_page(guestd::Registers& registers, LegacyTimes times = {});

/// "MEDIATOR_UNAVAILABLE"
std::string legacy_error_name(uint32_t error);

}  // namespace vgpu::guest
