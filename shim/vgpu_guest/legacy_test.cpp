#include "shim/vgpu_guest/legacy_test.hpp"

#include <time.h>

#include <array>

#include "common/abi/legacy_stub.h"
#include "common/control/deadline.hpp"

namespace vgpu::guest {
namespace {

using control::Deadline;

constexpr uint32_t kFirstResult = VGPU_LEGACY_RESPONSE + sizeof(vgpu_legacy_answer);

constexpr std::array kErrorNames = {"OK",          "INVALID_REQUEST", "REQUEST_TOO_LARGE", "MEDIATOR_UNAVAILABLE",
                                    "TIMEOUT",     "CUDA_ERROR",      "INVALID_POOL",      "QUEUE_FULL",
                                    "UNSUPPORTED", "INVALID_LENGTH",  "RATE_LIMITED",      "QUARANTINED"};

struct Moment {
  uint32_t status;
  uint64_t done;  // time of the last answer
  bool operator==(const Moment&) const = default;
};

Moment look(const guestd::Registers& registers) {
  return {registers.load(VGPU_LEGACY_STATUS), registers.load64(VGPU_LEGACY_TIME_LO)};
}

void nap() {
  constexpr timespec kNap{0, 1'000'000};
  ::nanosleep(&kNap, nullptr);
}

template <typename Done>
bool wait_until(Done done, std::chrono::milliseconds longest) {
  for (const auto deadline = Deadline::after(longest); !done(); nap())
    if (deadline.passed()) return false;
  return true;
}

bool is_free(const guestd::Registers& registers) { return registers.load(VGPU_LEGACY_STATUS) != VGPU_LEGACY_BUSY; }

void submit(guestd::Registers& registers, uint32_t left, uint32_t right) {
  struct {
    vgpu_legacy_call call{};
    uint32_t parameters[2];
  } request{.call = {}, .parameters = {left, right}};
  request.call.version = VGPU_LEGACY_VERSION;
  request.call.opcode = VGPU_LEGACY_ADD;
  request.call.parameter_count = 2;
  request.call.data_offset = sizeof request;
  registers.copy_in(VGPU_LEGACY_REQUEST, std::as_bytes(std::span(&request, 1)));
  registers.store(VGPU_LEGACY_REQUEST_LEN, sizeof request);
  registers.store(VGPU_LEGACY_REQUEST_ID, registers.load(VGPU_LEGACY_REQUEST_ID) + 1);
  registers.store(VGPU_LEGACY_DOORBELL, 1);
}

LegacyVerdict read_verdict(const guestd::Registers& registers) {
  using Kind = LegacyVerdict::Kind;
  if (registers.load(VGPU_LEGACY_STATUS) == VGPU_LEGACY_ERROR)
    return {.kind = Kind::answered, .error = registers.load(VGPU_LEGACY_ERROR_CODE)};
  return {.kind = Kind::computed, .result = registers.load(kFirstResult)};
}

LegacyVerdict ask(guestd::Registers& registers, uint32_t left, uint32_t right, LegacyTimes times) {
  using Kind = LegacyVerdict::Kind;
  if (!wait_until([&] { return is_free(registers); }, times.answer)) return {.kind = Kind::stuck_busy};
  const Moment before = look(registers);
  submit(registers, left, right);
  if (!wait_until([&] { return look(registers) != before; }, times.dispatch)) return {.kind = Kind::stayed_idle};
  if (!wait_until([&] { return is_free(registers); }, times.answer)) return {.kind = Kind::stuck_busy};
  return read_verdict(registers);
}

}  // namespace

LegacyVerdict add_on_host(guestd::Registers& registers, uint32_t left, uint32_t right, LegacyTimes times) {
  using Kind = LegacyVerdict::Kind;
  auto verdict = ask(registers, left, right, times);
  verdict.left = left;
  verdict.right = right;
  if (verdict.kind == Kind::computed && verdict.result != left + right) verdict.kind = Kind::wrong;
  return verdict;
}

LegacyVerdict test_legacy_page(guestd::Registers& registers, LegacyTimes times) {
  return add_on_host(registers, 100, 200, times);
}

std::string legacy_error_name(uint32_t error) { return error < kErrorNames.size() ? kErrorNames[error] : "unknown"; }

std::string LegacyVerdict::equation() const {
  return "Result: " + std::to_string(left) + " + " + std::to_string(right) + " = " + std::to_string(result);
}

std::string LegacyVerdict::text() const {
  switch (kind) {
    case Kind::computed:
      return "[RESPONSE] Received: " + std::to_string(result) + "; " + equation();
    case Kind::answered:
      return "[ERROR] Device error: code=" + std::to_string(error) + " (" + legacy_error_name(error) + ")";
    case Kind::stayed_idle:
      return "STATUS stayed IDLE";
    case Kind::stuck_busy:
      return "STATUS stuck BUSY";
    case Kind::wrong:
      return "[RESPONSE] Received: " + std::to_string(result) + ", where " + std::to_string(left + right) +
             " was expected";
  }
  return {};
}

std::string LegacyVerdict::cause() const {
  switch (kind) {
    case Kind::computed:
      return {};
    case Kind::answered:
      if (error == VGPU_LEGACY_MEDIATOR_UNAVAILABLE) return "the doorbell works; the device has no link to the broker";
      if (error == VGPU_LEGACY_TIMEOUT)
        return "the doorbell works; the host took the request and did not answer it in time: its GPU or driver may "
               "hang";
      if (error == VGPU_LEGACY_CUDA_ERROR)
        return "the doorbell works; the host's worker cannot compute: its GPU or driver fails";
      if (error == VGPU_LEGACY_UNSUPPORTED)
        return "the doorbell works; this broker computes no legacy requests, only CUDA";
      if (error == VGPU_LEGACY_RATE_LIMITED || error == VGPU_LEGACY_QUEUE_FULL)
        return "the doorbell works; this VM asks for more than the host allows it";
      if (error == VGPU_LEGACY_QUARANTINED) return "the doorbell works; the host has put this VM into quarantine";
      return "the doorbell works; the host refuses the request";
    case Kind::stayed_idle:
      return "the doorbell was never dispatched: the device took no notice of it";
    case Kind::stuck_busy:
      return "the mediator did not answer, and the device does not give up by itself";
    case Kind::wrong:
      return "the host answered with another result";
  }
  return {};
}

std::string LegacyVerdict::remedy() const {
  switch (kind) {
    case Kind::computed:
      return {};
    case Kind::answered:
      if (error == VGPU_LEGACY_MEDIATOR_UNAVAILABLE)
        return "start vgpu-broker on the host, and see that its socket for this VM is the one that the device was "
               "given";
      if (error == VGPU_LEGACY_UNSUPPORTED) return "none is needed for CUDA programs";
      if (error == VGPU_LEGACY_RATE_LIMITED || error == VGPU_LEGACY_QUEUE_FULL)
        return "ask less often, or have legacy_rate of this VM raised in the broker's configuration";
      if (error == VGPU_LEGACY_QUARANTINED) return "ask the host's operator: vgpu-admin release ends it";
      return "the broker's log on the host says why";
    case Kind::stayed_idle:
      return "install the newer device on the host, and start this virtual machine again: this one loses doorbells";
    case Kind::stuck_busy:
      return "restart the mediator on the host, then this virtual machine's QEMU; a newer device there knows "
             "deadlines, "
             "and needs neither";
    case Kind::wrong:
      return "another program may use the legacy page at the same time: stop it and try again";
  }
  return {};
}

}  // namespace vgpu::guest
