// SPDX-License-Identifier: Apache-2.0
// How many bytes a second, to and from the device; ordinary (pageable) memory and pinned.
#include <cstring>

#include "tests/bench/path/crew.hpp"
#include "tests/bench/path/figure.hpp"

namespace bench {
namespace {

enum class Way { to_device, to_host };
enum class Memory { pageable, pinned };

/// Host memory that has been written, so that every page is there.
class HostMemory {
 public:
  HostMemory(const Device& device, Memory memory, size_t bytes) : device_(device) {
    if (memory == Memory::pageable) {
      pageable_.resize(bytes, 1);
      address_ = pageable_.data();
      return;
    }
    check(device.driver()->cuMemHostAlloc(&pinned_, bytes, 0), "cuMemHostAlloc");
    std::memset(pinned_, 1, bytes);
    address_ = pinned_;
  }
  ~HostMemory() {
    if (pinned_ != nullptr) static_cast<void>(device_.driver()->cuMemFreeHost(pinned_));
  }
  HostMemory(const HostMemory&) = delete;
  HostMemory& operator=(const HostMemory&) = delete;
  void* address() const { return address_; }

 private:
  const Device& device_;
  std::vector<uint8_t> pageable_;
  void* pinned_ = nullptr;
  void* address_ = nullptr;
};

class CopyLane : public Lane {
 public:
  CopyLane(const Device& device, Way way, Memory memory, size_t bytes)
      : device_(device), stream_(device), way_(way), bytes_(bytes), host_(device, memory, bytes) {
    check(device.driver()->cuMemAlloc_v2(&there_, bytes), "cuMemAlloc");
  }
  ~CopyLane() override { static_cast<void>(device_.driver()->cuMemFree_v2(there_)); }

  double step() override {
    const CUresult result =
        way_ == Way::to_device ? device_.driver()->cuMemcpyHtoDAsync_v2(there_, host_.address(), bytes_, stream_.get())
                               : device_.driver()->cuMemcpyDtoHAsync_v2(host_.address(), there_, bytes_, stream_.get());
    check(result, "cuMemcpyAsync");
    stream_.synchronise();
    return static_cast<double>(bytes_);
  }
  void finish() override {}

 private:
  const Device& device_;
  OwnStream stream_;
  const Way way_;
  const size_t bytes_;
  HostMemory host_;
  CUdeviceptr there_ = 0;
};

class Copies : public Figure {
 public:
  Copies(const Device& device, Way way, Memory memory, const Conditions& conditions)
      : crew_(device, conditions.threads, [&device, way, memory, bytes = conditions.bytes] {
          return std::make_unique<CopyLane>(device, way, memory, bytes);
        }) {}
  Samples measure(double seconds) override { return {crew_.rate(seconds)}; }

 private:
  Crew crew_;
};

template <Way W, Memory M>
std::unique_ptr<Figure> make(const Device& device, const Conditions& conditions) {
  return std::make_unique<Copies>(device, W, M, conditions);
}

}  // namespace

std::vector<FigureKind> copy_figures() {
  return {{"h2d_pageable", "bytes/s", "more", true, make<Way::to_device, Memory::pageable>},
          {"d2h_pageable", "bytes/s", "more", true, make<Way::to_host, Memory::pageable>},
          {"h2d_pinned", "bytes/s", "more", true, make<Way::to_device, Memory::pinned>},
          {"d2h_pinned", "bytes/s", "more", true, make<Way::to_host, Memory::pinned>}};
}

}  // namespace bench
