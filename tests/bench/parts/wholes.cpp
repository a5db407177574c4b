// SPDX-License-Identifier: Apache-2.0
// What the parts should add up to: shim and worker at work together, with a driver whose calls do nothing.
#include "shim/client/channel.hpp"
#include "tests/bench/parts/client.hpp"
#include "tests/bench/parts/cores.hpp"
#include "tests/bench/parts/host.hpp"
#include "tests/bench/parts/part.hpp"

namespace bench {
namespace {

using vgpu::cuda::CUDA_SUCCESS;

constexpr uint64_t kPatienceNs = 10'000'000'000;

template <typename Fact>
void await(Fact fact, const char* otherwise) {
  const uint64_t end = now_ns() + kPatienceNs;
  for (Looking looking; !fact();) {
    require(now_ns() < end, otherwise);
    looking.pause();
  }
}

/// The worker stands inside a launch and does not look at the ring until this goes.
class StandingWorker {
 public:
  StandingWorker() {
    Client::instance().synchronise();
    host::hold();
    // It stands for a limited time; if we were off the processor for that long, once more.
    while (!host::is_standing()) {
      const uint64_t passed = host::launches();
      Client::instance().post_record();
      await([&] { return host::is_standing() || host::launches() != passed; }, "the worker does not come");
    }
  }
  ~StandingWorker() { host::release(); }
  StandingWorker(const StandingWorker&) = delete;
  StandingWorker& operator=(const StandingWorker&) = delete;
};

/// Goes round the ring: on the first lap the kernel finds memory for each page, which is not to be measured.
void warm_ring() {
  constexpr uint64_t kRecords = 2 * uint64_t{VGPU_RING_SIZE} / 64;
  for (uint64_t i = 0; i < kRecords; ++i) Client::instance().post_record();
  Client::instance().synchronise();
}

/// Nanoseconds per launch of a burst, behind some launches that warm everything up.
double launch_burst(unsigned count) {
  constexpr unsigned kAhead = 16;
  const Client& client = Client::instance();
  bool launched = true;
  for (unsigned i = 0; i < kAhead; ++i) launched &= client.launch() == CUDA_SUCCESS;
  const uint64_t begun = now_ns();
  for (unsigned i = 0; i < count; ++i) launched &= client.launch() == CUDA_SUCCESS;
  const uint64_t ended = now_ns();
  require(launched, "a launch fails");
  return static_cast<double>(ended - begun) / count;
}

/// A burst at whose end the worker does not stand any more is left out: something took too long.
Samples time_enqueue_alone(double seconds) {
  constexpr unsigned kBurst = 64;
  Samples samples;
  const uint64_t end = now_ns() + seconds_to_ns(seconds);
  do {
    const StandingWorker standing;
    const double each = launch_burst(kBurst);
    if (host::is_standing()) samples.push_back(each);
  } while (now_ns() < end || samples.empty());
  Client::instance().synchronise();
  return samples;
}

/// The same without the entry's checks, the request and the count: the lower half of a launch.
Samples time_post_alone(double seconds) {
  constexpr unsigned kBurst = 64;
  Samples samples;
  const uint64_t end = now_ns() + seconds_to_ns(seconds);
  do {
    const StandingWorker standing;
    const Samples one = time_batches(0, kBurst, [] { Client::instance().post_record(); });
    if (host::is_standing()) samples.push_back(one.front());
  } while (now_ns() < end || samples.empty());
  Client::instance().synchronise();
  return samples;
}

Samples time_enqueue_together(double seconds) {
  constexpr unsigned kBurst = 64;
  Samples samples;
  const uint64_t end = now_ns() + seconds_to_ns(seconds);
  do {
    Client::instance().synchronise();
    samples.push_back(launch_burst(kBurst));
  } while (now_ns() < end);
  return samples;
}

/// The worker reads records that lie ready: nanoseconds each, until the driver has been called.
Samples time_take(double seconds) {
  constexpr unsigned kRecords = 512;
  Samples samples;
  const uint64_t end = now_ns() + seconds_to_ns(seconds);
  do {
    uint64_t begun = 0;
    {
      const StandingWorker standing;
      host::watch_for(host::launches() + 1 + kRecords);  // the one in which it stands is not counted yet
      for (unsigned i = 0; i < kRecords; ++i) Client::instance().post_record();
      begun = now_ns();
    }
    await([] { return host::moment() != 0; }, "the worker does not read its ring");
    // Where filling took so long that it went on by itself, the moment may lie before.
    if (host::moment() > begun) samples.push_back(static_cast<double>(host::moment() - begun) / kRecords);
  } while (now_ns() < end || samples.empty());
  return samples;
}

Samples time_round_trip(double seconds) {
  return time_batches(seconds, 16,
                      [] { require(Client::instance().ask_limit() == CUDA_SUCCESS, "the question fails"); });
}

}  // namespace

void measure_wholes(const PartOptions& options) {
  warm_ring();
  if (!cores().distinct()) return;  // two sides on one core take turns: no figure of ours
  report(options, "enqueue", "whole", "cuLaunchKernel, the worker standing still", "bursts of 64 launches",
         time_enqueue_alone);
  report(options, "enqueue", "single", "cuLaunchKernel, the worker reading along",
         "bursts of 64 launches: what is more than standing are cache lines that go to and fro", time_enqueue_together);
  report(options, "enqueue", "single", "encode and Channel::post, the worker standing still",
         "bursts of 64: the lower half of a launch, without entry, request and count", time_post_alone);
  report(options, "take", "whole", "the worker, per record of a full ring",
         "512 launches that lie ready, until the last driver call", time_take);
  report(options, "round_trip", "whole", "cuCtxGetLimit, both sides polling", "16 calls at a time", time_round_trip);
}

}  // namespace bench
