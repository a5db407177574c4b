// What the guest knows of its streams and events.
#pragma once

#include <atomic>
#include <cstdint>

#include "shim/client/context.hpp"
#include "shim/client/object_table.hpp"

namespace vgpu::shim {

/// Commands posted since the last credit (see credits.hpp); counts from 0 again with every new stream.
struct PostedCount {
  std::atomic<uint32_t> value{0};
  PostedCount() = default;
  PostedCount(const PostedCount&) {}
  PostedCount& operator=(const PostedCount&) {
    value.store(0, std::memory_order_relaxed);
    return *this;
  }
};

struct StreamFacts {
  Context* context = nullptr;
  unsigned flags = 0;
  int priority = 0;
  unsigned long long id = 0;
  PostedCount posted{};
};

struct EventFacts {
  Context* context = nullptr;
  unsigned flags = 0;
};

ObjectTable<StreamFacts>& streams();
ObjectTable<EventFacts>& events();

/// Streams of one context are gone with it, events as well.
void forget_streams_of(Context& context);

}  // namespace vgpu::shim
