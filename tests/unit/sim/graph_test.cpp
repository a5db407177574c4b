// Graphs built by hand, where the software GPU promises more than the documentation: when events are there, what
// happens to memory that is gone, and that what is independent runs in any order.
#include <chrono>
#include <set>
#include <thread>

#include "tests/unit/sim/driver_fixture.hpp"

using namespace vgpu::sim::test;

namespace {

/// A graph of its own, destroyed at the end.
class OwnGraph {
 public:
  OwnGraph() { REQUIRE(driver().cuGraphCreate(&handle_, 0) == CUDA_SUCCESS); }
  OwnGraph(const OwnGraph&) = delete;
  OwnGraph& operator=(const OwnGraph&) = delete;
  ~OwnGraph() { driver().cuGraphDestroy(handle_); }

  CUgraphNode host(CUhostFn function, void* user, std::vector<CUgraphNode> after = {}) const {
    const CUDA_HOST_NODE_PARAMS parameters{function, user};
    CUgraphNode node = nullptr;
    REQUIRE(driver().cuGraphAddHostNode(&node, handle_, after.data(), after.size(), &parameters) == CUDA_SUCCESS);
    return node;
  }
  CUgraphNode record(CUevent event, std::vector<CUgraphNode> after) const {
    CUgraphNode node = nullptr;
    REQUIRE(driver().cuGraphAddEventRecordNode(&node, handle_, after.data(), after.size(), event) == CUDA_SUCCESS);
    return node;
  }
  CUgraphExec instantiate() const {
    CUgraphExec exec = nullptr;
    REQUIRE(driver().cuGraphInstantiateWithFlags(&exec, handle_, 0) == CUDA_SUCCESS);
    return exec;
  }
  CUgraph get() const { return handle_; }

 private:
  CUgraph handle_ = nullptr;
};

CUevent new_event() {
  CUevent event = nullptr;
  REQUIRE(driver().cuEventCreate(&event, CU_EVENT_DISABLE_TIMING) == CUDA_SUCCESS);
  return event;
}

/// Returns when the word is set, or when nobody can be expected to set it any more.
void wait_for_word(void* words) {
  const auto* own = static_cast<PinnedWords*>(words);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (own->load(0) == 0 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
}

}  // namespace

TEST_CASE("an event recorded in a graph is there before the graph has ended") {
  const DriverContext context;
  const auto& cu = driver();
  const OwnGraph graph;
  PinnedWords words(1);
  words.store(0, 0);
  const CUevent event = new_event();
  const CUgraphNode first = graph.host([](void*) {}, nullptr);
  graph.host(wait_for_word, &words, {graph.record(event, {first})});
  const CUgraphExec exec = graph.instantiate();
  const CUstream stream = new_stream();
  REQUIRE(cu.cuGraphLaunch(exec, stream) == CUDA_SUCCESS);
  CHECK(cu.cuEventSynchronize(event) == CUDA_SUCCESS);
  CHECK(cu.cuStreamQuery(stream) == CUDA_ERROR_NOT_READY);
  words.store(0, 1);
  CHECK(cu.cuStreamSynchronize(stream) == CUDA_SUCCESS);
}

TEST_CASE("an event whose launch fails before its node is not waited for for ever") {
  const DriverContext context;
  const auto& cu = driver();
  const OwnGraph graph;
  const CUevent event = new_event();
  const CUdeviceptr gone = allocate(4096);
  const CUDA_MEMSET_NODE_PARAMS fill{gone, 0, 1, 4, 4, 1};
  CUgraphNode node = nullptr;
  REQUIRE(cu.cuGraphAddMemsetNode(&node, graph.get(), nullptr, 0, &fill, context.handle) == CUDA_SUCCESS);
  graph.record(event, {node});
  const CUgraphExec exec = graph.instantiate();
  REQUIRE(cu.cuMemFree_v2(gone) == CUDA_SUCCESS);
  REQUIRE(cu.cuGraphLaunch(exec, new_stream()) == CUDA_SUCCESS);
  CHECK(cu.cuEventSynchronize(event) == CUDA_ERROR_ILLEGAL_ADDRESS);
}

TEST_CASE("independent nodes run in more than one order") {
  const DriverContext context;
  const auto& cu = driver();
  struct Call {
    std::vector<int>* order;
    int number;
  };
  std::vector<int> order;
  std::vector<Call> calls;
  calls.reserve(4);
  for (int i = 0; i < 4; ++i) calls.push_back({&order, i});
  const OwnGraph graph;
  for (Call& call : calls) {
    graph.host(
        [](void* user) {
          const auto* own = static_cast<Call*>(user);
          own->order->push_back(own->number);
        },
        &call);
  }
  const CUgraphExec exec = graph.instantiate();
  const CUstream stream = new_stream();
  std::set<std::vector<int>> seen;
  for (int i = 0; i < 50; ++i) {
    order.clear();
    REQUIRE(cu.cuGraphLaunch(exec, stream) == CUDA_SUCCESS);
    REQUIRE(cu.cuStreamSynchronize(stream) == CUDA_SUCCESS);
    REQUIRE(order.size() == 4);
    seen.insert(order);
  }
  CHECK(seen.size() > 1);
}

TEST_CASE("a graph under capture cannot be instantiated") {
  const DriverContext context;
  const auto& cu = driver();
  const OwnGraph graph;
  const CUstream stream = new_stream();
  REQUIRE(cu.cuStreamBeginCaptureToGraph(stream, graph.get(), nullptr, nullptr, 0, CU_STREAM_CAPTURE_MODE_RELAXED) ==
          CUDA_SUCCESS);
  CUgraphExec exec = nullptr;
  CHECK(cu.cuGraphInstantiateWithFlags(&exec, graph.get(), 0) == CUDA_ERROR_INVALID_VALUE);
  CUgraph ended = nullptr;
  REQUIRE(cu.cuStreamEndCapture(stream, &ended) == CUDA_SUCCESS);
  CHECK(cu.cuGraphInstantiateWithFlags(&exec, graph.get(), 0) == CUDA_SUCCESS);
}

TEST_CASE("conditional nodes are refused") {
  const DriverContext context;
  const OwnGraph graph;
  CUgraphConditionalHandle handle = 0;
  CHECK(driver().cuGraphConditionalHandleCreate(&handle, graph.get(), context.handle, 1,
                                                CU_GRAPH_COND_ASSIGN_DEFAULT) == CUDA_ERROR_NOT_SUPPORTED);
  CUgraphNodeParams parameters{};
  parameters.type = CU_GRAPH_NODE_TYPE_CONDITIONAL;
  CUgraphNode node = nullptr;
  CHECK(driver().cuGraphAddNode_v2(&node, graph.get(), nullptr, nullptr, 0, &parameters) == CUDA_ERROR_NOT_SUPPORTED);
}
