// Values in streams and graphs, asked for by a client that means harm: the driver would write wherever it is told to.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <vector>

#include "common/abi/window_layout.h"
#include "running_worker.hpp"

using namespace vgpu::cuda;
using namespace vgpu::worker;
namespace ops = vgpu::api::ops;
using vgpu::wire::Kind;
using vgpu::wire::make_handle;

namespace {

constexpr uint32_t kMine = 3;
constexpr uint32_t kWrite = 1, k64Bits = 2;
const uint64_t kContext = make_handle(Kind::context, 1, 0);
const uint64_t kStream = make_handle(Kind::stream, 1, 0);
const uint64_t kGraph = make_handle(Kind::graph, 1, 0);

/// The bytes are the argument's.
ops::StreamBatch batch_of(const CUstreamBatchMemOpParams& operation) {
  return {{kStream}, 0, 0, {reinterpret_cast<const uint8_t*>(&operation), sizeof operation}};
}

/// As a batch node's description travels: flags, and the operations behind their length.
std::vector<uint8_t> sheet_of(const CUstreamBatchMemOpParams& operation, uint32_t size = sizeof operation) {
  const uint32_t head[] = {0, size};
  std::vector<uint8_t> sheet(sizeof head + size);
  std::memcpy(sheet.data(), head, sizeof head);
  std::memcpy(sheet.data() + sizeof head, &operation, std::min<size_t>(size, sizeof operation));
  return sheet;
}

ops::GraphAddNode node_of(const std::vector<uint8_t>& sheet) {
  return {{kGraph}, CU_GRAPH_NODE_TYPE_BATCH_MEM_OP, {}, sheet};
}

struct Worker : RunningWorker {
  Worker() {
    REQUIRE(call(kMine, ops::ContextCreate{.device = 0, .flags = 0, .id = {kContext}}).result == CUDA_SUCCESS);
    context = kContext;
    REQUIRE(call(kMine, ops::StreamCreate{{kStream}, 1, 0}).result == CUDA_SUCCESS);
  }
  uint32_t write(uint64_t address, bool in_window, uint32_t kind = kWrite) {
    return call(kMine, ops::StreamValue{kind, address, in_window, 1, 0, {kStream}}).result;
  }
  uint32_t batch(const CUstreamBatchMemOpParams& operation) { return call(kMine, batch_of(operation)).result; }
  uint64_t allocate() {
    const Answer answer = call(kMine, ops::MemoryAlloc{1 << 20});
    REQUIRE(answer.result == CUDA_SUCCESS);
    ops::MemoryAllocReply reply;
    vgpu::wire::Reader in(answer.data);
    REQUIRE(reply.decode(in));
    return reply.address;
  }
};

}  // namespace

TEST_CASE("a value goes nowhere but to the client's memory") {
  Worker worker;
  static uint64_t of_the_worker = 0;
  CHECK(worker.write(reinterpret_cast<uint64_t>(&of_the_worker), false) == CUDA_ERROR_INVALID_VALUE);
  CHECK(worker.write(0, false) == CUDA_ERROR_INVALID_VALUE);
  CHECK(worker.write(UINT64_MAX, false, kWrite | k64Bits) == CUDA_ERROR_INVALID_VALUE);
  // Of the heap, but no extent.
  CHECK(worker.write(VGPU_HEAP_OFFSET, true) == CUDA_ERROR_INVALID_VALUE);
  const uint64_t memory = worker.allocate();
  CHECK(worker.write(memory, false, kWrite | k64Bits) == CUDA_SUCCESS);
  CHECK(worker.write(memory + (1 << 20) - 4, false) == CUDA_SUCCESS);
  CHECK(worker.write(memory + (1 << 20) - 4, false, kWrite | k64Bits) == CUDA_ERROR_INVALID_VALUE);
}

TEST_CASE("a value outside the heap ends the client") {
  Worker worker;
  SECTION("the control page") { worker.send(kMine, ops::StreamValue{kWrite, 0, 1, 1, 0, {kStream}}); }
  SECTION("past the end") { worker.send(kMine, ops::StreamValue{kWrite, UINT64_MAX - 1, 1, 1, 0, {kStream}}); }
  SECTION("an unknown kind") { worker.send(kMine, ops::StreamValue{99, VGPU_HEAP_OFFSET, 1, 1, 0, {kStream}}); }
  CHECK(worker.end() == End::violation);
}

TEST_CASE("a batch is checked operation by operation") {
  Worker worker;
  CUstreamBatchMemOpParams operation{};
  operation.operation = 99;
  CHECK(worker.batch(operation) == CUDA_ERROR_INVALID_VALUE);
  operation.operation = CU_STREAM_MEM_OP_WRITE_VALUE_32;
  operation.value.address = 0x1000;
  CHECK(worker.batch(operation) == CUDA_ERROR_INVALID_VALUE);
  operation.value.address = worker.allocate();
  CHECK(worker.batch(operation) == CUDA_SUCCESS);
  operation.value.alias = 1;  // now an offset, which that address is not
  worker.send(kMine, batch_of(operation));
  CHECK(worker.end() == End::violation);
}

TEST_CASE("a node's batch is checked operation by operation") {
  Worker worker;
  REQUIRE(worker.call(kMine, ops::GraphCreate{{kGraph}, 0}).result == CUDA_SUCCESS);
  const auto add = [&](const auto& operation) { return worker.call(kMine, node_of(sheet_of(operation))).result; };
  CUstreamBatchMemOpParams operation{};
  operation.operation = 99;
  CHECK(add(operation) == CUDA_ERROR_INVALID_VALUE);
  operation.operation = CU_STREAM_MEM_OP_WRITE_VALUE_32;
  operation.value.address = 0x1000;
  CHECK(add(operation) == CUDA_ERROR_INVALID_VALUE);
  operation.value.address = worker.allocate();
  CHECK(add(operation) == CUDA_SUCCESS);
  SECTION("an offset outside the heap") {
    operation.value.alias = 1;
    worker.send(kMine, node_of(sheet_of(operation)));
  }
  SECTION("half an operation") { worker.send(kMine, node_of(sheet_of(operation, sizeof operation / 2))); }
  SECTION("something behind the batch") {
    auto sheet = sheet_of(operation);
    sheet.push_back(0);
    worker.send(kMine, node_of(sheet));
  }
  CHECK(worker.end() == End::violation);
}
