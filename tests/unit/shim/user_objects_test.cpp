// Who holds references to user objects, without a worker: graphs are numbers here, and nothing was launched.
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <thread>

#include "shim/client/user_objects.hpp"

using namespace vgpu::cuda;
namespace user_objects = vgpu::shim::user_objects;

namespace {

/// Outlives the test: the destructor runs on a thread of the shim.
struct Trace {
  std::atomic<int> destroyed{0};
};

CUuserObject make(Trace& trace, unsigned references = 1) {
  CUuserObject object = nullptr;
  const auto destroy = [](void* user) { ++static_cast<Trace*>(user)->destroyed; };
  REQUIRE(user_objects::create(object, destroy, &trace, references) == CUDA_SUCCESS);
  return object;
}

bool comes_to(const Trace& trace, int wanted) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (trace.destroyed != wanted && std::chrono::steady_clock::now() < end) std::this_thread::yield();
  return trace.destroyed == wanted;
}

/// True if no destructor but those already seen was due: one that is due now runs behind them.
bool stays_at(const Trace& trace, int wanted) {
  static Trace other;
  other.destroyed = 0;
  const CUuserObject last = make(other);
  return user_objects::release(last, 1) == CUDA_SUCCESS && comes_to(other, 1) && trace.destroyed == wanted;
}

uint64_t next_handle() {
  static uint64_t last = 100;
  return ++last;
}

}  // namespace

TEST_CASE("a user object goes with its last reference") {
  static Trace trace;
  const CUuserObject object = make(trace, 2);
  CHECK(user_objects::retain(object, 1) == CUDA_SUCCESS);
  CHECK(user_objects::release(object, 2) == CUDA_SUCCESS);
  CHECK(stays_at(trace, 0));
  CHECK(user_objects::release(object, 1) == CUDA_SUCCESS);
  CHECK(comes_to(trace, 1));
  CHECK(user_objects::release(object, 1) == CUDA_ERROR_INVALID_VALUE);
  CHECK(user_objects::retain(object, 1) == CUDA_ERROR_INVALID_VALUE);
}

TEST_CASE("a graph gives its references back when it goes, copies keep theirs") {
  static Trace trace;
  trace.destroyed = 0;
  const uint64_t graph = next_handle(), clone = next_handle(), exec = next_handle();
  REQUIRE(user_objects::retain_for_graph(graph, make(trace), 1, true) == CUDA_SUCCESS);
  user_objects::graph_copied(graph, clone);
  user_objects::instantiated(clone, exec);
  user_objects::graph_gone(graph);
  CHECK(stays_at(trace, 0));
  user_objects::graph_gone(clone);
  CHECK(stays_at(trace, 0));
  user_objects::exec_gone(exec);
  CHECK(comes_to(trace, 1));
}

TEST_CASE("a graph releases no more than it holds") {
  static Trace trace;
  const uint64_t graph = next_handle();
  const CUuserObject object = make(trace);
  REQUIRE(user_objects::retain_for_graph(graph, object, 2, false) == CUDA_SUCCESS);
  CHECK(user_objects::release_of_graph(graph, object, 3) == CUDA_SUCCESS);
  CHECK(user_objects::release_of_graph(graph, object, 1) == CUDA_SUCCESS);
  CHECK(stays_at(trace, 0));
  CHECK(user_objects::release(object, 1) == CUDA_SUCCESS);
  CHECK(comes_to(trace, 1));
  user_objects::graph_gone(graph);
}

TEST_CASE("an update replaces what an executable graph holds") {
  static Trace old, fresh;
  const uint64_t first = next_handle(), second = next_handle(), exec = next_handle();
  REQUIRE(user_objects::retain_for_graph(first, make(old), 1, true) == CUDA_SUCCESS);
  REQUIRE(user_objects::retain_for_graph(second, make(fresh), 1, true) == CUDA_SUCCESS);
  user_objects::instantiated(first, exec);
  user_objects::graph_gone(first);
  CHECK(stays_at(old, 0));
  user_objects::updated(exec, second);
  CHECK(comes_to(old, 1));
  user_objects::graph_gone(second);
  CHECK(stays_at(fresh, 0));
  user_objects::exec_gone(exec);
  CHECK(comes_to(fresh, 1));
}

TEST_CASE("what lies inside a graph goes with it") {
  static Trace trace;
  const uint64_t outer = next_handle(), inner = next_handle(), exec = next_handle();
  user_objects::graph_inside(outer, inner);
  REQUIRE(user_objects::retain_for_graph(inner, make(trace), 1, true) == CUDA_SUCCESS);
  user_objects::instantiated(outer, exec);
  user_objects::graph_gone(outer);
  CHECK(stays_at(trace, 0));
  user_objects::exec_gone(exec);
  CHECK(comes_to(trace, 1));
}
