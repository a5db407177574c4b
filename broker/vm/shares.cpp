#include "broker/vm/shares.hpp"

namespace vgpu::broker::vm {

bool Shares::offer(const std::string& vm, const control::ShareToken& token, Offer offer) {
  OfVm& here = vms_[vm];
  const bool has_descriptor = static_cast<bool>(offer.descriptor);
  if (here.offers.size() >= kMostOffers || (has_descriptor && here.descriptors >= kMostDescriptors)) return false;
  if (!here.offers.try_emplace(token, std::move(offer)).second) return false;
  if (has_descriptor) ++here.descriptors;
  return true;
}

const Shares::Offer* Shares::find(const std::string& vm, const control::ShareToken& token) const {
  const auto here = vms_.find(vm);
  if (here == vms_.end()) return nullptr;
  const auto found = here->second.offers.find(token);
  return found == here->second.offers.end() ? nullptr : &found->second;
}

void Shares::forget(const std::string& vm, std::uint64_t client) {
  const auto here = vms_.find(vm);
  if (here == vms_.end()) return;
  std::erase_if(here->second.offers, [&](const auto& entry) {
    if (entry.second.client != client) return false;
    if (entry.second.descriptor) --here->second.descriptors;
    return true;
  });
  if (here->second.offers.empty()) vms_.erase(here);
}

std::size_t Shares::count(const std::string& vm) const {
  const auto here = vms_.find(vm);
  return here == vms_.end() ? 0 : here->second.offers.size();
}

}  // namespace vgpu::broker::vm
