#include "shim/client/credits.hpp"

#include "shim/client/capture_state.hpp"
#include "shim/client/channel.hpp"
#include "shim/client/contexts.hpp"
#include "shim/client/request.hpp"
#include "shim/client/stream_table.hpp"

namespace vgpu::shim {
namespace {

// Between two credits; a credit is answered when what came before the previous one is complete, so twice as many can be
// on their way. A launch with large arguments takes more than one entry of the queue, hence less than half of 1,021,
// and of 8 x 1,021.
constexpr uint32_t kPerStream = 350;
constexpr uint32_t kInAll = 3000;

constinit std::atomic<uint32_t> g_posted{0};

CUresult ask(uint64_t context, uint64_t stream) {
  const Channel* channel = open_channel();
  // What is captured fills no queue, and the context must be left alone.
  if (channel == nullptr || channel->is_idle() || capture::open_captures.load(std::memory_order_relaxed) != 0)
    return CUDA_SUCCESS;
  Request request(api::Op::stream_credit, true);
  if (const Context* owner = find_context(reinterpret_cast<CUcontext>(context)); owner != nullptr)
    request.use_context(*owner);
  request.body().put(stream);
  return request.call();
}

}  // namespace

CUresult take_credit(uint64_t context, uint64_t stream) {
  if (g_posted.fetch_add(1, std::memory_order_relaxed) + 1 >= kInAll) [[unlikely]] {
    g_posted.store(0, std::memory_order_relaxed);
    if (const CUresult result = ask(context, 0); result != CUDA_SUCCESS) return result;
  }
  StreamFacts* facts = streams().find(stream);
  // The legacy stream: what it gets is counted in all, but its own queue is no longer than another's.
  Context* owner = facts == nullptr ? find_context(reinterpret_cast<CUcontext>(context)) : nullptr;
  if (facts == nullptr && owner == nullptr) return CUDA_SUCCESS;
  auto& count = facts != nullptr ? facts->posted.value : owner->legacy_posted;
  if (count.fetch_add(1, std::memory_order_relaxed) + 1 < kPerStream) [[likely]]
    return CUDA_SUCCESS;
  count.store(0, std::memory_order_relaxed);
  return ask(context, stream);
}

}  // namespace vgpu::shim
