// SPDX-License-Identifier: Apache-2.0
// Parts of a posted launch in the program's thread, each by itself and with nobody at the other end.
#include <mutex>

#include "shim/client/channel.hpp"
#include "shim/client/flow_control.hpp"
#include "shim/client/parameter_block.hpp"
#include "shim/client/request.hpp"
#include "tests/bench/parts/other_core.hpp"
#include "tests/bench/parts/own_ring.hpp"
#include "tests/bench/parts/part.hpp"

namespace bench {
namespace {

namespace shim = vgpu::shim;
using vgpu::cuda::CUDA_SUCCESS;

constexpr unsigned kBatch = 256;
constexpr const char* kWhole = "enqueue";

void measure_checks(const PartOptions& options) {
  const Client& client = Client::instance();
  report(options, kWhole, "part", "entry: find function, context and facts; check the shape",
         "a launch with too many threads, which is refused there", [&](double seconds) {
           return time_batches(seconds, kBatch,
                               [&] { require(client.launch_refused() != CUDA_SUCCESS, "not refused"); });
         });
}

void measure_packing(const PartOptions& options) {
  const Client& client = Client::instance();
  const shim::FunctionInfo* info = shim::functions::find(client.function());
  report(options, kWhole, "part", "pack the arguments", "ParameterBlock::pack of three arguments, alone",
         [&](double seconds) {
           return time_batches(seconds, kBatch, [&] {
             shim::ParameterBlock block;
             keep(info);
             const auto packed = block.pack(info->parameters, info->parameter_bytes, client.parameters(), nullptr);
             require(packed == CUDA_SUCCESS, "pack fails");
             keep(block);
           });
         });
}

void measure_encoding(const PartOptions& options) {
  const Client& client = Client::instance();
  report(options, kWhole, "part", "make the request and encode it",
         "a Request with all fields of a launch put into it, not sent", [&](double seconds) {
           return time_batches(seconds, kBatch, [&] {
             shim::Request request(vgpu::api::Op::launch, true);
             request.body().put(reinterpret_cast<uint64_t>(client.function()));
             for (unsigned i = 0; i < 7; ++i) request.body().put(uint32_t{1});
             request.put(client.stream());
             request.body().bytes({});
             request.body().put(uint32_t{kParameterBytes});
             keep(request);
           });
         });
}

void measure_append(const PartOptions& options) {
  std::mutex lock;
  report(options, kWhole, "part", "append lock", "an uncontended std::mutex, taken and given back",
         [&](double seconds) { return time_batches(seconds, kBatch, [&] { const std::lock_guard hold(lock); }); });
  OwnRing ring;
  const auto drain = [&] { ring.drain(); };
  report(options, kWhole, "single", "store a record, no fence", "Producer::try_append alone", [&](double seconds) {
    return time_batches(
        seconds, kBatch, [&] { ring.append(); }, drain);
  });
  // The fence waits until the stores before it have got their cache lines: together, or it looks cheap.
  const auto append = [&ring](double seconds, const auto& emptied) {
    const auto store_and_look = [&ring] {
      ring.append();
      require(!ring.producer.must_ring(), "nobody sleeps");
    };
    return time_batches(seconds, kBatch, store_and_look, emptied);
  };
  const char* const part = "store the record, fence, does the worker sleep?";
  if (!cores().distinct()) {
    report(options, kWhole, "part", part, "try_append and must_ring", [&](double s) { return append(s, drain); });
    return;
  }
  OtherCore other;
  report(options, kWhole, "single", "store and fence where the same core read last", "try_append and must_ring",
         [&](double seconds) { return append(seconds, drain); });
  report(options, kWhole, "part", part, "try_append and must_ring, on lines that another core read last",
         [&](double seconds) { return append(seconds, [&] { other.run(drain); }); });
}

void measure_counting(const PartOptions& options) {
  const Client& client = Client::instance();
  client.synchronise();  // an idle channel is sent no mark
  const auto context = client.context_handle();
  const auto stream = reinterpret_cast<uint64_t>(client.stream());
  report(options, kWhole, "part", "count it for flow control", "count_posted on an idle channel, alone",
         [&](double seconds) {
           return time_batches(seconds, kBatch, [&] {
             const auto counted = shim::count_posted(vgpu::api::Op::launch, context, stream, kParameterBytes);
             require(counted == CUDA_SUCCESS, "not counted");
           });
         });
}

}  // namespace

void measure_shim_parts(const PartOptions& options) {
  measure_checks(options);
  measure_packing(options);
  measure_encoding(options);
  measure_append(options);
  measure_counting(options);
}

}  // namespace bench
