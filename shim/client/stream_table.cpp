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

template <typename Function>
void for_each_flow(Context& context, Function function) {
  g_streams.each([&](uint64_t, StreamFacts& facts) {
    if (facts.context == &context) function(facts.flow);
  });
  function(context.legacy_flow);
}

void stop_flows_of(Context& context) { for_each_flow(context, stop_flow); }

/// Streams of one context are gone with it, events as well.
void forget_streams_of(Context& context) {
  for_each_flow(context, drop_flow);
  forget(g_streams, context);
  forget(g_events, context);
}

}  // namespace

ObjectTable<StreamFacts>& streams() { return g_streams; }
ObjectTable<EventFacts>& events() { return g_events; }

void follow_contexts() {
  before_context_end(&stop_flows_of);
  after_context_end(&forget_streams_of);
}

}  // namespace vgpu::shim
