#include "shim/client/stream_table.hpp"

#include "shim/client/contexts.hpp"
#include "shim/client/handles.hpp"

namespace vgpu::shim {
namespace {

constinit ObjectTable<StreamFacts> g_streams;
constinit ObjectTable<EventFacts> g_events;

template <typename Facts>
void forget(ObjectTable<Facts>& table, const Context& context) {
  table.each([&](uint64_t handle, const Facts& facts) {
    if (facts.context == &context && table.remove(handle)) handles(wire::kind_of(handle)).discard(handle);
  });
}

}  // namespace

ObjectTable<StreamFacts>& streams() { return g_streams; }
ObjectTable<EventFacts>& events() { return g_events; }

void forget_streams_of(Context& context) {
  g_streams.each([&](uint64_t, StreamFacts& facts) {
    if (facts.context == &context) drop_flow(facts.flow);
  });
  drop_flow(context.legacy_flow);
  forget(g_streams, context);
  forget(g_events, context);
}

}  // namespace vgpu::shim
