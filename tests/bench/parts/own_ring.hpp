// SPDX-License-Identifier: Apache-2.0
// A window of this process alone, with both ends of its ring.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <span>
#include <vector>

#include "common/base/unique_fd.hpp"
#include "common/ring/consumer.hpp"
#include "common/ring/producer.hpp"
#include "tests/bench/parts/client.hpp"

namespace bench {

inline vgpu::shm::Window make_window() {
  constexpr size_t kSize = VGPU_HEAP_OFFSET + VGPU_EXTENT_ALIGN;
  const vgpu::base::UniqueFd memory(::memfd_create("vgpu-bench-ring", MFD_CLOEXEC));
  require(memory && ::ftruncate(memory.get(), kSize) == 0, "no memory for a window");
  auto window = vgpu::shm::Window::map(memory.get(), kSize);
  require(static_cast<bool>(window), "no address for a window");
  return std::move(*window);
}

struct OwnRing {
  /// The first lap makes the kernel find memory for each page: that is not to be measured.
  OwnRing() {
    while (producer.position() < 2 * uint64_t{VGPU_RING_SIZE}) {
      append();
      drain();
    }
  }

  vgpu::shm::Window window = make_window();
  vgpu::ring::Producer producer{window};
  vgpu::ring::Consumer consumer{window};

  /// The record of a launch, in two pieces as the shim appends it: what it encodes, and the arguments.
  void append() {
    const std::span<const uint8_t> all(body);
    const size_t split = all.size() - kParameterBytes;
    require(producer.try_append(header, all.first(split), all.subspan(split)), "the ring is full");
  }
  void drain() {
    vgpu::ring::Record record;
    while (consumer.next(record) == vgpu::ring::Next::record) keep(record);
  }

  vgpu_record_header header = make_header();
  std::vector<uint8_t> body = make_body();

 private:
  template <typename T>
  static void keep(T& value) {
    asm volatile("" : : "g"(&value) : "memory");
  }
  static vgpu_record_header make_header() {
    vgpu_record_header made{};
    made.op = static_cast<uint16_t>(vgpu::api::Op::launch);
    made.flags = VGPU_RECORD_POSTED;
    made.context = Client::instance().context_handle();
    return made;
  }
  static std::vector<uint8_t> make_body() {
    std::vector<uint8_t> made(256);
    vgpu::wire::Writer writer{std::span<uint8_t>(made)};
    Client::instance().record().encode(writer);
    made.resize(writer.size());
    return made;
  }
};

}  // namespace bench
