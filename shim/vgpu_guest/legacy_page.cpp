#include "shim/vgpu_guest/legacy_page.hpp"

#include <cerrno>

#include "common/abi/legacy_stub.h"

namespace vgpu::guest {
namespace {

using base::Error;
using guestd::PciFunction;

/// A stub of revision 2: of revision 1 there are no registers, of ours there are more.
bool has_only_the_page(const PciFunction& function) {
  return function.revision != 1 && function.bar0_size >= VGPU_LEGACY_PAGE_SIZE && function.bar0_size < VGPU_BAR0_SIZE;
}

base::Result<LegacyPage> open_old(const PciFunction& function) {
  auto bar = guestd::map_bar0(function, VGPU_LEGACY_PAGE_SIZE);
  if (!bar) return bar.error();
  if (bar->registers->load(VGPU_LEGACY_PROTOCOL_VER) != VGPU_LEGACY_VERSION)
    return Error{ENODEV, "the device at " + function.address + " has no legacy page"};
  return LegacyPage(std::move(*bar));
}

}  // namespace

base::Result<LegacyPage> open_legacy_page(const Options& options) {
  auto device = guestd::open_device(options.pci_root, options.device);
  if (device) return LegacyPage(std::move(*device));
  for (const PciFunction& function : guestd::find_candidates(options.pci_root)) {
    const bool is_asked_for = options.device.empty() || options.device == function.address;
    if (is_asked_for && has_only_the_page(function)) return open_old(function);
  }
  return device.error();
}

}  // namespace vgpu::guest
