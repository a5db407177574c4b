// SPDX-License-Identifier: Apache-2.0
// Parts of a posted launch in the worker's thread, each by itself.
#include <memory>

#include "tests/bench/parts/cores.hpp"
#include "tests/bench/parts/host.hpp"
#include "tests/bench/parts/other_core.hpp"
#include "tests/bench/parts/own_ring.hpp"
#include "tests/bench/parts/part.hpp"
#include "worker/dispatch/call.hpp"
#include "worker/dispatch/replies.hpp"
#include "worker/dispatch/rows.hpp"
#include "worker/objects/objects.hpp"
#include "worker/session.hpp"

namespace bench {
namespace {

namespace worker = vgpu::worker;

constexpr unsigned kBatch = 256;
constexpr const char* kWhole = "take";

/// Reads a batch, timed; between batches somebody fills the ring again.
template <typename Fill>
Samples time_consumer(OwnRing& ring, double seconds, Fill fill) {
  vgpu::ring::Record record;
  fill();
  return time_batches(
      seconds, kBatch,
      [&] {
        require(ring.consumer.next(record) == vgpu::ring::Next::record, "no record");
        keep(record);
      },
      fill);
}

void measure_consumer(const PartOptions& options) {
  OwnRing ring;
  const auto fill = [&] {
    for (unsigned i = 0; i < kBatch; ++i) ring.append();
  };
  report(options, kWhole, cores().distinct() ? "single" : "part", "take a record that the same core wrote",
         "Consumer::next alone", [&](double seconds) { return time_consumer(ring, seconds, fill); });
  if (!cores().distinct()) return;
  OtherCore other;
  report(options, kWhole, "part", "take: copy the record, publish the head",
         "Consumer::next alone; the record was written by another core",
         [&](double seconds) { return time_consumer(ring, seconds, [&] { other.run(fill); }); });
}

/// The generated code of a launch, its handler and a driver that does nothing, without the dispatcher's loop.
void measure_running(const PartOptions& options) {
  const OwnRing ring;
  const auto session = host::make_session();
  const auto call = std::make_unique<worker::Call>();
  const vgpu::api::ops::Launch record = Client::instance().record();
  const uint64_t context = Client::instance().context_handle();
  const worker::Row* row = worker::find_row(ring.header.op);
  require(session->contexts().bind(context, {}), "no context");
  require(session->objects().functions.bind(record.what.value, {}), "no function");
  require(session->objects().streams.bind(record.on.value, {}), "no stream");
  report(options, kWhole, "part", "make its context current", "Session::enter, where it is already",
         [&](double seconds) {
           return time_batches(seconds, kBatch,
                               [&] { require(session->enter(context) == vgpu::cuda::CUDA_SUCCESS, "not entered"); });
         });
  report(options, kWhole, "part", "run: decode, find handles, driver call, count",
         "the row's own function, with a driver whose launch does nothing", [&](double seconds) {
           return time_batches(seconds, kBatch, [&] {
             vgpu::wire::Reader in{vgpu::wire::Bytes(ring.body)};
             call->begin(ring.header, row);
             row->run(*session, in, *call);
             require(call->result() == vgpu::cuda::CUDA_SUCCESS, "the launch fails");
           });
         });
}

void measure_decoding(const PartOptions& options) {
  const OwnRing ring;
  report(options, kWhole, "single", "decode a launch", "Launch::decode of the generated decoder, alone",
         [&](double seconds) {
           return time_batches(seconds, kBatch, [&] {
             vgpu::wire::Reader reader{vgpu::wire::Bytes(ring.body)};
             vgpu::api::ops::Launch record;
             require(record.decode(reader), "does not decode");
             keep(record);
           });
         });
}

void measure_lookups(const PartOptions& options) {
  worker::Objects objects;
  const vgpu::api::ops::Launch record = Client::instance().record();
  require(objects.functions.bind(record.what.value, {}) && objects.streams.bind(record.on.value, {}), "not bound");
  report(options, kWhole, "single", "find row, function and stream",
         "the row by number, two handles in their tables, alone", [&](double seconds) {
           auto number = static_cast<uint16_t>(vgpu::api::Op::launch);
           uint64_t function = record.what.value;
           uint64_t stream = record.on.value;
           return time_batches(seconds, kBatch, [&] {
             keep(number);
             keep(function);
             keep(stream);
             vgpu::cuda::CUstream real = nullptr;
             bool found = worker::find_row(number) != nullptr && objects.function(function) != nullptr;
             found = found && objects.find(stream, real);
             require(found, "not found");
           });
         });
}

void measure_call(const PartOptions& options) {
  const OwnRing ring;
  const auto replies = std::make_unique<worker::Replies>(ring.window);
  const auto call = std::make_unique<worker::Call>();
  const worker::Row* row = worker::find_row(static_cast<uint16_t>(vgpu::api::Op::launch));
  report(options, kWhole, "part", "open and close the call",
         "Call::begin and finish, Replies::answer of a posted record", [&](double seconds) {
           return time_batches(seconds, kBatch, [&] {
             call->begin(ring.header, row);
             call->finish(vgpu::cuda::CUDA_SUCCESS);
             replies->answer(*call);
             keep(*call);
           });
         });
}

}  // namespace

void measure_worker_parts(const PartOptions& options) {
  measure_consumer(options);
  measure_running(options);
  measure_decoding(options);
  measure_lookups(options);
  measure_call(options);
}

}  // namespace bench
