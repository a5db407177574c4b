// The worker's end of the ring, against a guest that appends as it should for a while and then writes anything:
// positions, sizes, records, changes between two reads. As long as it is honest, every record comes out as it went in.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <deque>
#include <vector>

#include "common/ring/consumer.hpp"
#include "common/ring/producer.hpp"
#include "tests/fuzz/input.hpp"

namespace {

using namespace vgpu;

constexpr size_t kSize = VGPU_HEAP_OFFSET + VGPU_EXTENT_ALIGN;
constexpr size_t kMostSteps = 300;

const shm::Window& window() {
  static const auto* const mapped = [] {
    const int fd = ::memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || ::ftruncate(fd, kSize) != 0) std::abort();
    auto result = shm::Window::map(fd, kSize);
    if (!result) std::abort();
    return new shm::Window(std::move(*result));
  }();
  return *mapped;
}

void need(bool kept) {
  if (!kept) std::abort();
}

/// What an honest record carries: its number and a body made from it.
struct Expected {
  uint32_t number;
  size_t size;
};

class Guest {
 public:
  explicit Guest(fuzz::Input& input) : input_(input) {
    std::memset(window().bytes(0, VGPU_CONTROL_SIZE), 0, VGPU_CONTROL_SIZE);
  }
  ~Guest() {  // the next input finds a clean ring
    for (const auto& [offset, size] : dirty_) std::memset(window().bytes(VGPU_RING_OFFSET + offset, size), 0, size);
  }

  void step() {
    switch (input_.byte() % 8) {
      case 0:
      case 1:
      case 2:
        return append(input_.byte());
      case 3:
        return append(size_t{input_.byte()} << 8);
      case 4:
        return scribble();
      case 5:
        return move_tail();
      case 6:
        window().word64(offsetof(vgpu_control, head)).store(input_.word());
        honest_ = false;  // it may believe that there is room where there is none
        return;
      default:
        return consume(1 + input_.byte() % 64);
    }
  }
  void consume(unsigned most) {
    ring::Record record;
    for (; most > 0; --most) {
      const uint64_t before = consumer_.position();
      const auto got = consumer_.next(record);
      if (got != ring::Next::record) return check_stop(got, before);
      need(consumer_.position() > before && consumer_.position() - before <= 2 * VGPU_RING_SIZE);
      need(record.body.size() <= VGPU_RECORD_MAX - sizeof record.header);
      need(record.header.body == record.body.size() && record.header.op != VGPU_OP_PAD);
      if (honest_) check_record(record);
    }
  }

 private:
  void append(size_t size) {
    size = std::min<size_t>(size, VGPU_RECORD_MAX - sizeof(vgpu_record_header));
    const std::vector<uint8_t> body(size, static_cast<uint8_t>(number_));
    vgpu_record_header header{};
    header.op = 1;
    header.sequence = number_;
    const uint64_t before = producer_.position();
    if (!producer_.try_append(header, body)) return;
    note_dirty(before % VGPU_RING_SIZE, producer_.position() - before);
    expected_.push_back({number_++, size});
  }
  void scribble() {
    const uint64_t where = input_.word() % VGPU_RING_SIZE;
    const auto bytes = input_.take(std::min<uint64_t>(input_.byte(), VGPU_RING_SIZE - where));
    window().copy_in(VGPU_RING_OFFSET + where, bytes);
    note_dirty(where, bytes.size());
    honest_ = false;
  }
  void move_tail() {
    const auto tail = window().word64(offsetof(vgpu_control, tail));
    const uint8_t how = input_.byte();
    tail.store(how < 128 ? tail.load() + how * uint64_t{16} : input_.word());
    honest_ = false;
  }
  void note_dirty(uint64_t offset, uint64_t size) {
    const uint64_t first = std::min<uint64_t>(size, VGPU_RING_SIZE - offset);
    dirty_.push_back({offset, first});
    dirty_.push_back({0, std::min<uint64_t>(size - first, VGPU_RING_SIZE)});
  }
  void check_record(const ring::Record& record) {
    need(!expected_.empty());
    const Expected expected = expected_.front();
    expected_.pop_front();
    need(record.header.sequence == expected.number && record.body.size() == expected.size);
    if (record.body.empty()) return;
    // All of it is the first byte: as fast as memcmp, for these bodies are what an input's time goes into.
    need(record.body.front() == static_cast<uint8_t>(expected.number));
    need(std::memcmp(record.body.data(), record.body.data() + 1, record.body.size() - 1) == 0);
  }
  void check_stop(ring::Next got, uint64_t before) {
    need(consumer_.position() - before <= VGPU_RING_SIZE);
    if (honest_) need(got == ring::Next::empty && expected_.empty());
    if (got == ring::Next::broken) need(consumer_.problem() != nullptr);
  }

  fuzz::Input& input_;
  ring::Consumer consumer_{window()};
  ring::Producer producer_{window()};
  std::deque<Expected> expected_;
  std::vector<std::pair<uint64_t, uint64_t>> dirty_;
  uint32_t number_ = 1;
  bool honest_ = true;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(data, size);
  Guest guest(input);
  for (size_t steps = 0; steps < kMostSteps && !input.empty(); ++steps) guest.step();
  guest.consume(UINT32_MAX);
  return 0;
}
