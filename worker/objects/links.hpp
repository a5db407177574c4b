// Links in the making (cuLink*), by numbers of the guest's.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>

#include "common/api/driver.gen.hpp"
#include "worker/objects/limits.hpp"
#include "worker/objects/load_options.hpp"

namespace vgpu::worker {

struct Link {
  CUlinkState real = nullptr;
  uint64_t context = 0;        ///< that it was made in
  uint32_t info_log_size = 0;  ///< room that the guest keeps for the logs
  uint32_t error_log_size = 0;
  LoadOptions options;             ///< the driver writes there as long as the link lives: never moved
  uint64_t input_bytes = 0;        ///< that the driver was given
  std::span<const uint8_t> image;  ///< the driver's, once the link is complete
};

class Links {
 public:
  explicit Links(const DriverTable& driver) : driver_(driver) {}
  Links(const Links&) = delete;
  Links& operator=(const Links&) = delete;

  Link* find(uint64_t number) {
    const auto found = links_.find(number);
    return found != links_.end() ? found->second.get() : nullptr;
  }
  bool is_full() const { return links_.size() >= kMostLinks; }
  void add(uint64_t number, std::unique_ptr<Link> link) { links_[number] = std::move(link); }
  /// Whether all links together may be given so much more: the driver keeps it.
  bool has_room(uint64_t bytes) const { return bytes <= kMostLinkInput - input_bytes_; }
  void count_input(Link& link, uint64_t bytes) {
    link.input_bytes += bytes;
    input_bytes_ += bytes;
  }
  CUresult destroy(uint64_t number) {
    const auto found = links_.find(number);
    if (found == links_.end()) return CUDA_ERROR_INVALID_HANDLE;
    const CUresult result = driver_.cuLinkDestroy(found->second->real);
    input_bytes_ -= found->second->input_bytes;
    links_.erase(found);
    return result;
  }
  /// The context is about to end.
  void destroy_of(uint64_t context) {
    for (auto next = links_.begin(); next != links_.end();) {
      const auto [number, link] = std::pair(next->first, next->second.get());
      ++next;
      if (link->context == context) destroy(number);
    }
  }

 private:
  const DriverTable& driver_;
  std::map<uint64_t, std::unique_ptr<Link>> links_;
  uint64_t input_bytes_ = 0;
};

}  // namespace vgpu::worker
