// The whole worker behind the ring, in one thread: a sequence of records, every operation among them, against a driver
// that answers at once. Whatever they say, each call that was taken has its answer, answers decode, and no copy leaves
// the client's memory (records/fake_gpu.cpp looks).
#include <sys/mman.h>
#include <unistd.h>

#include <memory>

#include "common/base/log.hpp"
#include "common/ring/producer.hpp"
#include "common/shm/segment.hpp"
#include "tests/fuzz/records/fake_gpu.hpp"
#include "tests/fuzz/records/record_maker.hpp"
#include "worker/session.hpp"

namespace vgpu::fuzz {
namespace {

constexpr size_t kMostRecords = 300;
constexpr size_t kMostBytes = VGPU_RING_SIZE - 2 * VGPU_RECORD_MAX;
constexpr uint16_t kNoOperation = 1023;  // ends the session

[[noreturn]] void found(const char* what, const Shape* shape) {
  std::fprintf(stderr, "worker: %s (%s)\n", what, shape != nullptr ? shape->name : "no operation");
  std::abort();
}

/// A call that waits for its answer.
struct Sent {
  const Shape* shape;
  uint32_t slot;
  uint32_t sequence;
  uint64_t end;  ///< position in the ring behind it
};

/// The guest's end of a window, made once.
struct Guest {
  int memory = ::memfd_create("fuzz", MFD_CLOEXEC);
  shm::Window window;
  shm::GrantWriter grant;

  Guest() : window(map()), grant(open_grant()) { log::open("fuzz", log::Level::error); }
  shm::Window map() const {
    if (memory < 0 || ::ftruncate(memory, kWindowSize) != 0) std::abort();
    auto mapped = shm::Window::map(memory, kWindowSize);
    if (!mapped) std::abort();
    return std::move(*mapped);
  }
  static shm::GrantWriter open_grant() {
    auto made = shm::GrantWriter::create(1, shm::monotonic_ms());
    if (!made) std::abort();
    return std::move(*made);
  }
  /// As the broker hands it out, but for the heap beyond what inputs are given.
  void reset() const {
    std::memset(window.bytes(0, VGPU_CONTROL_SIZE), 0, VGPU_CONTROL_SIZE);
    for (uint32_t slot = 0; slot < kMostRecords + 2; ++slot) {
      window.word32(shm::slot_offset(slot) + offsetof(vgpu_slot, sequence)).store(0);
      window.word32(shm::slot_offset(slot) + offsetof(vgpu_slot, sleeping)).store(0);
    }
    std::memset(window.bytes(VGPU_HEAP_OFFSET, 32768), 0, 32768);
    window.word32(offsetof(vgpu_control, step_done)).store(0x40000000);  // host functions have run already
  }
};

Behaviour read_behaviour(Input& input) {
  Behaviour behaviour;
  behaviour.busy = input.byte() % 64;
  behaviour.first_failure = input.byte();
  behaviour.failures = input.byte();
  behaviour.error = input.byte();
  behaviour.counts = input.byte();
  behaviour.missing = input.byte();
  return behaviour;
}

std::vector<Sent> send_all(Input& input, const Guest& guest, uintptr_t base) {
  ring::Producer producer(guest.window);
  RecordMaker maker(input, base);
  std::vector<Sent> sent;
  Poke poke;
  for (size_t count = 0; count < kMostRecords && producer.position() < kMostBytes; ++count) {
    auto made = maker.next(poke);
    if (!made) break;
    if (made->shape == nullptr && made->header.op == 0) {
      guest.window.copy_in(poke.offset, poke.bytes);
      continue;
    }
    // Every waiting call has a slot of its own; a posted record's failure goes to one that is used next.
    const auto calls = static_cast<uint32_t>(sent.size());
    const bool waits = made->header.flags != VGPU_RECORD_POSTED;
    const bool slot_exists = made->header.slot < VGPU_SLOT_COUNT;
    if (waits) made->header.sequence = calls + 1;
    if (slot_exists) made->header.slot = waits ? calls : calls + made->header.slot;
    if (!producer.try_append(made->header, made->body)) break;
    if (waits && slot_exists) sent.push_back({made->shape, calls, calls + 1, producer.position()});
  }
  vgpu_record_header last{};
  last.op = kNoOperation;
  producer.try_append(last, {});
  return sent;
}

void check_answer(const Guest& guest, const Sent& call) {
  const uint64_t slot = shm::slot_offset(call.slot);
  if (guest.window.word32(slot + offsetof(vgpu_slot, sequence)).load() != call.sequence)
    found("a call without an answer", call.shape);
  const uint32_t length = guest.window.word32(slot + offsetof(vgpu_slot, length)).load();
  if (length > VGPU_SLOT_DATA) found("an answer that is too long", call.shape);
  if (guest.window.word32(slot + offsetof(vgpu_slot, result)).load() != 0) return;
  std::vector<uint8_t> data(length);
  guest.window.copy_out(slot + offsetof(vgpu_slot, data), data);
  if (call.shape == nullptr || !call.shape->reply(data)) found("an answer that does not decode", call.shape);
}

/// All calls that the worker took were answered; the last one it took may have ended the session instead.
void check_answers(const Guest& guest, const std::vector<Sent>& sent, worker::End end) {
  if (end != worker::End::violation && end != worker::End::gpu_fault) found("it ended for no reason", nullptr);
  const uint64_t taken = guest.window.word64(offsetof(vgpu_control, head)).load();
  for (const Sent& call : sent)
    if (call.end < taken) check_answer(guest, call);
}

void run(Input& input, const Guest& guest) {
  guest.reset();
  auto window = guest.map();
  const uintptr_t base = window.base();
  auto driver = fresh_driver(read_behaviour(input), base, kWindowSize);
  auto grant = shm::GrantReader::map(guest.grant.descriptor());
  if (!grant) std::abort();
  worker::Session session(std::move(window), std::move(driver), worker::Doorbell{}, std::move(*grant));
  const auto sent = send_all(input, guest, base);
  check_answers(guest, sent, session.serve());
}

}  // namespace
}  // namespace vgpu::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto* const guest = new vgpu::fuzz::Guest;
  vgpu::fuzz::Input input(data, size);
  vgpu::fuzz::run(input, *guest);
  return 0;
}
