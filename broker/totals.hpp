// What has been processed, of each VM: CUDA records of workers that have ended, and legacy requests. It outlives
// workers and, through the roster, brokers that come after one another; a broker that is stopped ends it.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <string>

namespace vgpu::broker {

struct Processed {
  std::uint64_t records = 0;
  std::uint64_t legacy_requests = 0;
  bool operator==(const Processed&) const = default;
};

/// Workers say their own counts, so a sum must bear any number.
inline void add_up(std::uint64_t& sum, std::uint64_t more) {
  const auto room = std::numeric_limits<std::uint64_t>::max() - sum;
  sum += more < room ? more : room;
}

class Totals {
 public:
  using PerVm = std::map<std::string, Processed>;

  Totals() = default;
  explicit Totals(PerVm per_vm) : per_vm_(std::move(per_vm)) {}

  /// Of a worker that has ended.
  void add_records(const std::string& vm, std::uint64_t count) { add_up(per_vm_[vm].records, count); }
  /// One legacy request that a worker has answered.
  void add_legacy(const std::string& vm) { add_up(per_vm_[vm].legacy_requests, 1); }
  const PerVm& per_vm() const { return per_vm_; }

 private:
  PerVm per_vm_;
};

inline Processed sum_of(const Totals::PerVm& per_vm) {
  Processed sum;
  for (const auto& [vm, processed] : per_vm) {
    add_up(sum.records, processed.records);
    add_up(sum.legacy_requests, processed.legacy_requests);
  }
  return sum;
}

}  // namespace vgpu::broker
