// SPDX-License-Identifier: Apache-2.0
// Parts of a call that waits for its answer, each side by itself; the lines' way between them is in core_parts.cpp.
#include <memory>
#include <mutex>

#include "shim/client/request.hpp"
#include "tests/bench/parts/own_ring.hpp"
#include "tests/bench/parts/part.hpp"
#include "worker/dispatch/call.hpp"
#include "worker/dispatch/replies.hpp"
#include "worker/dispatch/rows.hpp"

namespace bench {
namespace {

namespace worker = vgpu::worker;

constexpr unsigned kBatch = 256;
constexpr const char* kWhole = "round_trip";
constexpr auto kOp = vgpu::api::Op::cuCtxGetLimit;

vgpu_record_header make_header() {
  vgpu_record_header header{};
  header.op = static_cast<uint16_t>(kOp);
  header.sequence = 1;
  return header;
}

void measure_asking(const PartOptions& options) {
  OwnRing ring;
  std::mutex slot, append;
  const vgpu_record_header header = make_header();
  report(options, kWhole, "part", "ask: request, locks, record, fence",
         "the shim's steps in a loop, on a ring that nobody reads", [&](double seconds) {
           const auto ask = [&] {
             vgpu::shim::Request request(kOp, true);
             request.body().put(uint32_t{0});
             const std::lock_guard mine(slot);
             {
               const std::lock_guard ours(append);
               require(ring.producer.try_append(header, request.body().written()), "the ring is full");
             }
             require(!ring.producer.must_ring(), "nobody sleeps");
           };
           return time_batches(seconds, kBatch, ask, [&] { ring.drain(); });
         });
}

void measure_answering(const PartOptions& options) {
  OwnRing ring;
  const auto replies = std::make_unique<worker::Replies>(ring.window);
  const auto call = std::make_unique<worker::Call>();
  const vgpu_record_header header = make_header();
  const auto fill = [&] {
    constexpr uint8_t kBody[4] = {};
    for (unsigned i = 0; i < kBatch; ++i) require(ring.producer.try_append(header, kBody), "the ring is full");
  };
  const auto answer = [&] {
    vgpu::ring::Record record;
    require(ring.consumer.next(record) == vgpu::ring::Next::record, "no record");
    call->begin(record.header, worker::find_row(record.header.op));
    vgpu::wire::Reader in(record.body);
    auto limit = in.take<uint32_t>();
    keep(limit);
    require(in.complete(), "a record of the wrong length");
    call->reply().put(uint64_t{1024});
    call->finish(vgpu::cuda::CUDA_SUCCESS);
    replies->answer(*call);
  };
  report(options, kWhole, "part", "answer: take, decode, reply, fence",
         "the worker's steps in a loop, without its dispatcher and a driver", [&](double seconds) {
           fill();
           return time_batches(seconds, kBatch, answer, fill);
         });
}

}  // namespace

void measure_answer_parts(const PartOptions& options) {
  measure_asking(options);
  measure_answering(options);
}

}  // namespace bench
