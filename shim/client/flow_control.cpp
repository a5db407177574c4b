#include "shim/client/flow_control.hpp"

#include <algorithm>
#include <deque>
#include <mutex>
#include <vector>

#include "shim/client/capture_state.hpp"
#include "shim/client/channel.hpp"
#include "shim/client/contexts.hpp"
#include "shim/client/request.hpp"
#include "shim/client/stream_table.hpp"
#include "shim/client/waiting.hpp"
#include "shim/staging/heap_range.hpp"
#include "shim/staging/transfer.hpp"

namespace vgpu::shim {

// Counted in 1/1024 of a command's place in the queue, for a launch with 4 KiB of parameters takes 1.4 of them (733
// fit).
struct Flow {
  std::atomic<int> allowance{0};          // what may still be posted before somebody looks; below 0: somebody must
  std::atomic<uint32_t> inline_bytes{0};  // posted since the last look
  std::mutex mutex;                       // guards what follows
  int granted = 0;                        // what `allowance` began with
  uint64_t word = 0;                      // window offset; the worker stores into it the marks that were passed
  uint64_t stream = 0;
  Context* context = nullptr;
  struct Sent {
    uint32_t mark;
    int units;
    uint32_t bytes;
  };
  std::deque<Sent> sent;  // up to each mark that was not seen passed
  int on_the_way = 0;     // units of all of them
  uint32_t last_mark = 0;
};

namespace {

constexpr int kCommand = 1024;
constexpr int kPeriod = 128 * kCommand;
// A little below the driver's 1,021 and 8 x 1,021: calls that wait are not counted, and every thread that posts may be
// one command ahead of the count.
constexpr int kMostOfStream = 1008 * kCommand;
constexpr int64_t kMostInAll = int64_t{8080} * kCommand;
// The driver stages 4 MiB of pageable copies, and blocks then.
constexpr uint32_t kMostInline = 3u << 20;
constexpr uint32_t kInlinePeriod = 512u << 10;
constexpr uint64_t kLegacyOnWire = 1;

constinit std::atomic<int64_t> g_on_the_way{0};
constinit std::atomic<uint32_t> g_inline_bytes{0};

constinit std::mutex g_flows_mutex;  // guards the two lists and the words; taken before no other lock
std::vector<Flow*>& all_flows() {
  static auto* const all = new std::vector<Flow*>;
  return *all;
}
std::vector<Flow*>& closed_flows() {
  static auto* const closed = new std::vector<Flow*>;
  return *closed;
}

/// Event records and host functions take no place in a queue (measured), marks are event records.
int units_of(api::Op op, size_t bytes) {
  switch (op) {
    case api::Op::event_record:
    case api::Op::host_function:
    case api::Op::staging_mark:
    case api::Op::stream_create:
    case api::Op::stream_destroy:
      return 0;
    case api::Op::launch:
      return kCommand + static_cast<int>(bytes / 10);
    case api::Op::stream_batch:  // how much room a batch takes is not measured: at most a place an operation
      return kCommand * std::max(1, static_cast<int>(bytes / sizeof(CUstreamBatchMemOpParams)));
    default:
      return kCommand;
  }
}

void forget(Flow::Sent& sent) {
  g_on_the_way.fetch_sub(sent.units, std::memory_order_relaxed);
  g_inline_bytes.fetch_sub(sent.bytes, std::memory_order_relaxed);
}

// Of a flow whose mutex is held. -----------------------------------------------------------------------------------

void forget_passed(Flow& flow, const Channel& channel) {
  const uint32_t passed = channel.word(flow.word).load(std::memory_order_acquire);
  while (!flow.sent.empty() && static_cast<int32_t>(passed - flow.sent.front().mark) >= 0) {
    flow.on_the_way -= flow.sent.front().units;
    forget(flow.sent.front());
    flow.sent.pop_front();
  }
}

void forget_all(Flow& flow) {
  for (Flow::Sent& sent : flow.sent) forget(sent);
  flow.sent.clear();
  flow.on_the_way = 0;
}

CUresult post_mark(Flow& flow, int units, uint32_t bytes) {
  Request request(api::Op::staging_mark, true);
  request.use_context(*flow.context);
  request.body().put(flow.word);
  request.body().put(++flow.last_mark);
  request.body().put(flow.stream);
  flow.sent.push_back({flow.last_mark, units, bytes});
  flow.on_the_way += units;
  return request.post();
}

/// What was posted since the last look; from here on everybody who posts looks, until there is a new allowance.
Flow::Sent take_new(Flow& flow) {
  const int left = flow.allowance.exchange(0, std::memory_order_acq_rel);
  return {0, std::exchange(flow.granted, 0) - left, flow.inline_bytes.exchange(0, std::memory_order_relaxed)};
}

void forget_new(Flow& flow) {
  Flow::Sent fresh = take_new(flow);
  forget(fresh);
}

/// Puts a mark behind what is new.
CUresult mark_new(Flow& flow, const Channel& channel) {
  Flow::Sent fresh = take_new(flow);
  if (channel.is_idle()) {
    forget(fresh);
    forget_all(flow);
    return CUDA_SUCCESS;
  }
  if (fresh.units <= 0) return CUDA_SUCCESS;
  // What becomes part of a graph fills no queue, and a mark would become part of it too. The legacy stream is left
  // alone: to touch it may end a capture.
  if (capture::open_captures.load(std::memory_order_relaxed) != 0 &&
      (flow.stream == kLegacyOnWire || is_capturing(reinterpret_cast<CUstream>(flow.stream)))) {
    forget(fresh);
    return CUDA_SUCCESS;
  }
  return post_mark(flow, fresh.units, fresh.bytes);
}

/// Until some mark was passed; no deadline, for GPU work may be long. Whoever ends the context waits for this lock.
CUresult wait_for_progress(Flow& flow, Channel& channel) {
  if (flow.context->ending.load(std::memory_order_acquire) || !is_alive(*flow.context)) {
    forget_all(flow);
    return CUDA_ERROR_CONTEXT_IS_DESTROYED;
  }
  const auto passed = [&] {
    const uint32_t now = channel.word(flow.word).load(std::memory_order_acquire);
    return static_cast<int32_t>(now - flow.sent.front().mark) >= 0;
  };
  if (!spin_until(passed)) {
    if (const CUresult lost = channel.health(); lost != CUDA_SUCCESS) return lost;
    const uint32_t seen = channel.word(flow.word).load(std::memory_order_acquire);
    if (!passed() && !channel.sleep_on(flow.word, seen) && !passed()) {
      // A second has passed. A mark that the worker had to refuse never arrives: a further one may.
      if (channel.is_idle())
        forget_all(flow);
      else if (const CUresult posted = post_mark(flow, 0, 0); posted != CUDA_SUCCESS)
        return posted;
    }
  }
  forget_passed(flow, channel);
  return CUDA_SUCCESS;
}

void grant(Flow& flow) {
  const int room = std::min(kPeriod, kMostOfStream - flow.on_the_way);
  flow.granted += room;
  flow.allowance.fetch_add(room, std::memory_order_acq_rel);
}

// ---------------------------------------------------------------------------------------------------------------------

CUresult look(Flow& flow) {
  Channel* channel = open_channel();
  if (channel == nullptr) return CUDA_ERROR_NOT_INITIALIZED;
  const std::lock_guard lock(flow.mutex);
  if (flow.context == nullptr) {  // another thread has ended the stream or its context meanwhile
    forget_new(flow);
    return CUDA_SUCCESS;
  }
  if (flow.allowance.load(std::memory_order_relaxed) > 0 &&
      flow.inline_bytes.load(std::memory_order_relaxed) < kInlinePeriod)
    return CUDA_SUCCESS;  // another thread has looked meanwhile
  if (const CUresult result = mark_new(flow, *channel); result != CUDA_SUCCESS) return result;
  forget_passed(flow, *channel);
  while (flow.on_the_way >= kMostOfStream)
    if (const CUresult result = wait_for_progress(flow, *channel); result != CUDA_SUCCESS) return result;
  grant(flow);
  return CUDA_SUCCESS;
}

/// Looks at every stream, those that are destroyed too, which may still have work. One whose lock is held is being
/// looked at.
CUresult look_at_all(Channel& channel) {
  std::vector<Flow*> flows;
  {
    const std::lock_guard lock(g_flows_mutex);
    flows = all_flows();
  }
  for (Flow* flow : flows) {
    const std::unique_lock lock(flow->mutex, std::try_to_lock);
    if (!lock.owns_lock()) continue;
    if (flow->context != nullptr)
      if (const CUresult result = mark_new(*flow, channel); result != CUDA_SUCCESS) return result;
    forget_passed(*flow, channel);
  }
  return CUDA_SUCCESS;
}

CUresult wait_for_room_in_all() {
  for (Backoff backoff; g_on_the_way.load(std::memory_order_relaxed) >= kMostInAll; backoff.pause()) {
    Channel* channel = open_channel();
    if (channel == nullptr) return CUDA_ERROR_NOT_INITIALIZED;
    if (const CUresult lost = channel->health(); lost != CUDA_SUCCESS) return lost;
    if (const CUresult result = look_at_all(*channel); result != CUDA_SUCCESS) return result;
  }
  return CUDA_SUCCESS;
}

/// A place in the window that the worker may store marks into; 0 if the window is full. Lists' lock held.
uint64_t make_word(const Channel& channel) {
  constexpr size_t kPage = 4096;
  constexpr uint64_t kLine = 64;
  static uint64_t next = 0;
  if (next % kPage == 0) {
    static auto* const pages = new std::vector<HeapRange>;
    HeapRange page = HeapRange::take(kPage);
    if (!page) return 0;
    next = page.offset();
    pages->push_back(std::move(page));
  }
  const uint64_t word = next;
  next += kLine;
  channel.word(word).store(0, std::memory_order_relaxed);
  return word;
}

/// One whose work is done, or a new one. Lists' lock held.
Flow* take_flow(const Channel& channel) {
  auto& closed = closed_flows();
  for (size_t i = 0; i < closed.size() && i < 8; ++i) {
    const std::lock_guard lock(closed[i]->mutex);
    forget_passed(*closed[i], channel);
    if (!closed[i]->sent.empty()) continue;
    Flow* flow = closed[i];
    closed.erase(closed.begin() + static_cast<ptrdiff_t>(i));
    return flow;
  }
  const uint64_t word = make_word(channel);
  if (word == 0) return nullptr;
  auto* flow = new Flow;
  flow->word = word;
  all_flows().push_back(flow);
  return flow;
}

Flow* open_flow(FlowPointer& pointer, Context* context, uint64_t stream) {
  const Channel* channel = open_channel();
  const std::lock_guard lists(g_flows_mutex);
  if (Flow* made = pointer.value.load(std::memory_order_acquire)) return made;
  Flow* flow = channel == nullptr || context == nullptr ? nullptr : take_flow(*channel);
  if (flow == nullptr) return nullptr;
  const std::lock_guard lock(flow->mutex);
  take_new(*flow);
  flow->context = context;
  flow->stream = stream;
  grant(*flow);
  pointer.value.store(flow, std::memory_order_release);
  return flow;
}

/// Null where nothing can be counted.
Flow* flow_of(uint64_t context, uint64_t stream) {
  FlowPointer* pointer = nullptr;
  Context* owner = nullptr;
  if (stream == kLegacyOnWire) {
    owner = find_context(reinterpret_cast<CUcontext>(context));
    if (owner != nullptr) pointer = &owner->legacy_flow;
  } else if (StreamFacts* facts = streams().find(stream); facts != nullptr) {
    owner = facts->context;
    pointer = &facts->flow;
  }
  if (pointer == nullptr) return nullptr;
  Flow* flow = pointer->value.load(std::memory_order_acquire);
  return flow != nullptr ? flow : open_flow(*pointer, owner, stream);
}

void put_away(Flow* flow) {
  const std::lock_guard lists(g_flows_mutex);
  closed_flows().push_back(flow);
}

}  // namespace

CUresult count_posted(api::Op op, uint64_t context, uint64_t stream, size_t bytes) {
  const int units = units_of(op, bytes);
  if (units == 0) return CUDA_SUCCESS;
  Flow* flow = flow_of(context, stream);
  if (flow == nullptr) return CUDA_SUCCESS;
  bool must_look = flow->allowance.fetch_sub(units, std::memory_order_acq_rel) <= units;
  if (op == api::Op::copy_to_device_inline) {
    const auto size = static_cast<uint32_t>(bytes);
    g_inline_bytes.fetch_add(size, std::memory_order_relaxed);
    must_look |= flow->inline_bytes.fetch_add(size, std::memory_order_relaxed) + size >= kInlinePeriod;
  }
  if (g_on_the_way.fetch_add(units, std::memory_order_relaxed) + units >= kMostInAll) [[unlikely]]
    if (const CUresult result = wait_for_room_in_all(); result != CUDA_SUCCESS) return result;
  return must_look ? look(*flow) : CUDA_SUCCESS;
}

bool may_stage_in_driver(size_t bytes) { return g_inline_bytes.load(std::memory_order_relaxed) + bytes <= kMostInline; }

void close_flow(FlowPointer& pointer) {
  Flow* flow = pointer.value.exchange(nullptr, std::memory_order_acq_rel);
  const Channel* channel = open_channel();
  if (flow == nullptr || channel == nullptr) return;
  {
    const std::lock_guard lock(flow->mutex);
    mark_new(*flow, *channel);
    flow->context = nullptr;
  }
  put_away(flow);
}

void stop_flow(FlowPointer& pointer) {
  Flow* flow = pointer.value.load(std::memory_order_acquire);
  if (flow == nullptr) return;
  // A thread that sleeps on it with the lock looks up, and finds that the context ends.
  if (const Channel* channel = open_channel()) channel->wake(flow->word);
  const std::lock_guard lock(flow->mutex);
  forget_new(*flow);
  forget_all(*flow);
  flow->context = nullptr;
}

void drop_flow(FlowPointer& pointer) {
  stop_flow(pointer);  // another thread may have begun a new one meanwhile
  Flow* flow = pointer.value.exchange(nullptr, std::memory_order_acq_rel);
  if (flow != nullptr) put_away(flow);
}

}  // namespace vgpu::shim
