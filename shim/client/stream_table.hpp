// What the guest knows of its streams and events.
#pragma once

#include <cstdint>

#include "shim/client/context.hpp"
#include "shim/client/flow_control.hpp"
#include "shim/client/object_table.hpp"

namespace vgpu::shim {

struct StreamFacts {
  Context* context = nullptr;
  unsigned flags = 0;
  int priority = 0;
  unsigned long long id = 0;
  FlowPointer flow{};
};

struct EventFacts {
  Context* context = nullptr;
  unsigned flags = 0;
};

ObjectTable<StreamFacts>& streams();
ObjectTable<EventFacts>& events();

/// The context that a stream was made in; null for the special streams, which are the current one's.
inline Context* owner_of(CUstream stream) {
  const StreamFacts* facts = streams().find(reinterpret_cast<uint64_t>(stream));
  return facts == nullptr ? nullptr : facts->context;
}

/// From now on the streams and events of a context go with it. Called by whatever makes contexts.
void follow_contexts();

}  // namespace vgpu::shim
