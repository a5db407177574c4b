#include "tests/process/hostile/raw_client.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <thread>

namespace vgpu::test {
namespace {

/// At the first place of the broker's list that is free: several clients of this process have several windows.
shm::Window map_window(const control::Connection& connection, RawClient::Places& places) {
  for (const auto& candidate : connection.candidates) {
    auto window = shm::Window::map_at(connection.window.get(), connection.window_size, candidate.window_base);
    if (!window) continue;
    places = {candidate.window_base, candidate.arena_base, candidate.arena_size};
    return std::move(*window);
  }
  throw std::runtime_error("no place is free for the window");
}

control::Connection connect(const std::string& socket) {
  auto connection = control::connect_broker(socket, hello_for_test(), soon());
  if (!connection) throw std::runtime_error(connection.error().text);
  return std::move(*connection);
}

}  // namespace

RawClient::RawClient(const std::string& socket)
    : connection(connect(socket)), window_(map_window(connection, places_)) {}

void RawClient::begin(const Places& places) {
  vgpu_control& page = control();
  page.window_base = places.window_base;
  page.arena_base = places.arena_base;
  page.arena_size = places.arena_size;
  __atomic_store_n(&page.guest_ready, 1, __ATOMIC_RELEASE);
  ring_doorbell();
}

void RawClient::start() {
  begin();
  REQUIRE(eventually([&] {
    const uint32_t state = __atomic_load_n(&control().worker_state, __ATOMIC_ACQUIRE);
    return state == VGPU_WORKER_AWAKE || state == VGPU_WORKER_SLEEPING;
  }));
}

void RawClient::make_context() {
  const uint64_t handle = wire::make_handle(wire::Kind::context, 1, 0);
  REQUIRE(result_of(api::ops::PrimaryRetain{.device = 0, .id = {handle}}) == 0);
  context = handle;
}

void RawClient::set_tail(uint64_t tail) {
  __atomic_store_n(&control().tail, tail, __ATOMIC_RELEASE);
  ring_doorbell();
}

void RawClient::ring_doorbell() const { ::eventfd_write(connection.doorbell.get(), 1); }

bool RawClient::try_append(const vgpu_record_header& header, std::span<const uint8_t> body) {
  const bool appended = producer_.try_append(header, body);
  if (producer_.must_ring()) ring_doorbell();
  return appended;
}

bool RawClient::append(vgpu_record_header header, std::span<const uint8_t> body) {
  // Long: on a busy machine the software GPU takes its time for a ring full of copies.
  const auto deadline = control::Deadline::after(std::chrono::seconds(60));
  while (!try_append(header, body)) {
    if (is_lost()) return false;
    if (deadline.passed()) throw std::runtime_error("the ring stays full");
    std::this_thread::yield();
  }
  return true;
}

vgpu_record_header RawClient::header_of(uint16_t op, uint32_t slot, uint16_t flags) {
  vgpu_record_header header{};
  header.op = op;
  header.flags = flags;
  header.slot = slot;
  header.context = context;
  if (flags == 0) header.sequence = ++sequence_;
  return header;
}

bool RawClient::is_answered(uint32_t slot, uint32_t sequence) const {
  const auto word = window_.word32(shm::slot_offset(slot) + offsetof(vgpu_slot, sequence));
  return word.load(std::memory_order_acquire) == sequence;
}

std::optional<Answer> RawClient::wait(uint32_t slot, uint32_t sequence) const {
  const uint64_t base = shm::slot_offset(slot);
  const auto word = [&](size_t member) { return window_.word32(base + member); };
  const auto deadline = soon();
  const auto answered = [&] { return is_answered(slot, sequence); };
  for (unsigned rounds = 0; !answered(); ++rounds) {
    if (is_lost() && !answered()) return std::nullopt;
    if (deadline.passed()) throw std::runtime_error("no answer in time");
    if (rounds % 64 == 63) ::usleep(50);
  }
  Answer answer{word(offsetof(vgpu_slot, result)), word(offsetof(vgpu_slot, deferred)), {}};
  answer.data.resize(std::min<uint32_t>(word(offsetof(vgpu_slot, length)), VGPU_SLOT_DATA));
  window_.copy_out(base + offsetof(vgpu_slot, data), answer.data);
  return answer;
}

bool RawClient::is_lost() const { return __atomic_load_n(&control().peer_status, __ATOMIC_ACQUIRE) != VGPU_PEER_ALIVE; }

control::ExitClass RawClient::end() const {
  REQUIRE(eventually([&] { return is_lost(); }));
  return control::from_word(control().exit_class).kind;
}

uint64_t RawClient::worker_memory() const {
  std::ifstream statm("/proc/" + std::to_string(worker()) + "/statm");
  uint64_t size = 0, resident = 0;
  statm >> size >> resident;
  return resident * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace vgpu::test
