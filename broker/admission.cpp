#include "broker/admission.hpp"

namespace vgpu::broker {

std::optional<Admission::Ticket> Admission::admit(const std::string& vm, Quota quota, std::string& refusal) {
  const auto own = per_vm_.find(vm);
  if (is_quarantined(vm)) {
    refusal = vm + " is in quarantine: vgpu-admin release " + vm + " ends it";
    return std::nullopt;
  }
  if (count_ >= max_) {
    refusal = "all " + std::to_string(max_) + " places are taken (max_clients of the broker's configuration)";
    return std::nullopt;
  }
  if (own != per_vm_.end() && own->second >= quota.most) {
    refusal = vm + " already has " + std::to_string(quota.most) + " clients (" + quota.setting +
              " of the broker's configuration)";
    return std::nullopt;
  }
  return take_back(vm);
}

Admission::Ticket Admission::take_back(const std::string& vm) {
  ++count_;
  ++per_vm_[vm];
  return Ticket(*this, vm);
}

void Admission::set_quarantined(const std::string& vm, bool is_quarantined) {
  if (is_quarantined)
    quarantined_.insert(vm);
  else
    quarantined_.erase(vm);
}

void Admission::give_back(const std::string& vm) {
  --count_;
  const auto own = per_vm_.find(vm);
  if (own != per_vm_.end() && --own->second == 0) per_vm_.erase(own);
}

}  // namespace vgpu::broker
