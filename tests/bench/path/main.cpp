// SPDX-License-Identifier: Apache-2.0
// vgpu-bench: what calls of the driver interface cost. It knows nothing of brokers: natively and remoted it is the same
// file. Results are JSON lines; the first says what device and driver were found.
#include <unistd.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>

#include "tests/bench/measure/clock.hpp"
#include "tests/bench/measure/json_line.hpp"
#include "tests/bench/path/figure.hpp"
#include "tests/bench/path/options.hpp"

namespace bench {

const std::vector<FigureKind>& all_figures() {
  static const std::vector<FigureKind> all = [] {
    std::vector<FigureKind> list;
    for (const auto& theme :
         {enqueue_figures(), round_trip_figures(), record_figures(), copy_figures(), start_figures()})
      list.insert(list.end(), theme.begin(), theme.end());
    return list;
  }();
  return all;
}

namespace {

bool is_wanted(const Options& options, const FigureKind& kind) {
  return options.only.empty() || std::count(options.only.begin(), options.only.end(), kind.name) != 0;
}

/// The name of a figure that does not exist; empty if all do.
std::string unknown_figure(const Options& options) {
  for (const std::string& name : options.only) {
    const auto has_name = [&](const FigureKind& kind) { return name == kind.name; };
    if (std::none_of(all_figures().begin(), all_figures().end(), has_name)) return name;
  }
  return {};
}

/// Says that we are ready, and waits for the word. False at the end of input.
bool pass_gate() {
  JsonLine().put("ready", 1).print();
  char c = 0;
  while (::read(STDIN_FILENO, &c, 1) == 1)
    if (c == '\n') return true;
  return false;
}

/// False if the gate stayed shut.
bool measure(const Device& device, const FigureKind& kind, unsigned threads, const Options& options) {
  const auto figure = kind.make(device, {threads, options.bytes});
  if (options.warm_up > 0) static_cast<void>(figure->measure(options.warm_up));
  Repetitions repetitions;
  for (unsigned i = 0; i < options.repetitions; ++i) {
    if (options.gate && !pass_gate()) return false;
    repetitions.add(figure->measure(options.seconds));
  }
  JsonLine line;
  line.put("figure", kind.name).put("unit", kind.unit).put("better", kind.better).put("threads", threads);
  line.put(repetitions).print();
  return true;
}

void measure_all(const Options& options) {
  const Driver driver;
  const Device device(driver);
  JsonLine().put("device", device.name()).put("driver_version", device.driver_version()).print();
  for (const FigureKind& kind : all_figures()) {
    if (!is_wanted(options, kind)) continue;
    for (const unsigned threads : kind.threaded ? options.threads : std::vector<unsigned>{1})
      if (!measure(device, kind, threads, options)) return;
  }
}

/// What the child of a start figure does: gets somewhere, and says when that was.
void get_started(bool as_far_as_a_result) {
  const Driver driver;
  uint64_t moment = 0;
  if (!as_far_as_a_result) {
    check(driver->cuInit(0), "cuInit");
    moment = now_ns();
  } else {
    const Device device(driver);
    const OwnStream stream(device);
    check(device.launch_nothing(stream.get()), "cuLaunchKernel");
    stream.synchronise();
    moment = now_ns();
  }
  std::printf("%" PRIu64 "\n", moment);
}

int run(const Options& options) {
  if (const std::string unknown = unknown_figure(options); !unknown.empty()) {
    std::fprintf(stderr, "vgpu-bench: no figure %s; see --list\n", unknown.c_str());
    return 64;
  }
  try {
    if (options.list) {
      for (const FigureKind& kind : all_figures()) std::puts(kind.name);
    } else if (options.first_call || options.first_result) {
      get_started(options.first_result);
    } else {
      measure_all(options);
    }
    return 0;
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "vgpu-bench: %s\n", failure.what());
    return 1;
  }
}

}  // namespace
}  // namespace bench

int main(int count, char** arguments) {
  bench::Options options;
  int status = 0;
  if (!bench::parse_options(count, arguments, options, status)) return status;
  return bench::run(options);
}
