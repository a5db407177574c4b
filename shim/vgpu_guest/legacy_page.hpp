// The legacy page of this machine's device, whether it is ours or a stub of revision 2 that has nothing else.
#pragma once

#include <memory>
#include <optional>

#include "shim/guestd/device.hpp"
#include "shim/vgpu_guest/options.hpp"

namespace vgpu::guest {

class LegacyPage {
 public:
  explicit LegacyPage(guestd::Device device) : device_(std::move(device)) {}
  explicit LegacyPage(guestd::MappedBar bar) : bar_(std::move(bar)) {}

  guestd::Registers& registers() { return device_ ? device_->registers() : *bar_.registers; }
  /// Whether CUDA may come through: what has nothing but this page has no such link.
  bool is_link_up() const { return device_ && device_->link() == VGPU_LINK_UP; }

 private:
  std::optional<guestd::Device> device_;
  guestd::MappedBar bar_;  // without a device
};

/// EACCES: only root can.
base::Result<LegacyPage> open_legacy_page(const Options& options);

}  // namespace vgpu::guest
