#include "broker/vms.hpp"

#include <algorithm>
#include <cerrno>

#include "common/base/log.hpp"

namespace vgpu::broker {
namespace {

// Each has a number of its own, and a user may have many.
constexpr std::ptrdiff_t kMostUnknown = 256;

/// What the labels of a device come to. Those that are none count as not given.
vm::Vm::Standing standing_of(const doors::Labels& labels) {
  vm::Vm::Standing standing{VmSettings{}.pool, VmSettings{}.priority};
  if (labels.pool >= 'A' && labels.pool <= 'Z') standing.pool = static_cast<char>(labels.pool);
  if (labels.priority <= static_cast<std::uint8_t>(Priority::high))
    standing.priority = static_cast<Priority>(labels.priority);
  return standing;
}

}  // namespace

Vms::Vms(event::Loop& loop, const Config& config, Clients& clients) : loop_(loop), config_(config), clients_(clients) {
  for (const auto& settings : config_.vms) add(settings);
}

vm::Vm* Vms::add(const VmSettings& settings) {
  auto& vm = vms_[settings.name];
  vm = std::make_unique<vm::Vm>(loop_, settings, clients_, config_.hello_timeout);
  return vm.get();
}

vm::Vm* Vms::find(const std::string& name) {
  const auto found = vms_.find(name);
  return found == vms_.end() ? nullptr : found->second.get();
}

base::Result<vm::Vm*> Vms::find_stub(const doors::Identity& who, const doors::Labels& labels) {
  doors::LabelsInUse in_use;
  for (const auto& [name, label] : labels_)
    if (const auto* vm = find(name); vm != nullptr && vm->has_stub()) in_use[label] = name;
  const auto identity = doors::identify_stub(config_, who, labels, in_use);
  if (!identity) return identity.error();
  auto vm =
      identity->settings != nullptr ? base::Result<vm::Vm*>(find(identity->vm)) : find_unknown(identity->vm, labels);
  // One that is turned away because its VM has a stub leaves that one's label.
  if (vm && !(*vm)->has_stub()) labels_[identity->vm] = labels.vm_id;
  return vm;
}

base::Result<vm::Vm*> Vms::find_unknown(const std::string& name, const doors::Labels& labels) {
  auto* vm = find(name);
  if (vm == nullptr) {
    forget_idle();
    const auto unknown = static_cast<std::ptrdiff_t>(vms_.size() - config_.vms.size());
    if (unknown >= kMostUnknown)
      return base::Error{EAGAIN, "there are " + std::to_string(unknown) + " VMs without a [vm.NAME] already"};
    VmSettings settings;
    settings.name = name;
    vm = add(settings);
  }
  if (!vm->has_stub()) vm->set_standing(standing_of(labels));
  return vm;
}

void Vms::forget_idle() {
  std::erase_if(vms_, [this](const auto& one) {
    const bool is_configured =
        std::any_of(config_.vms.begin(), config_.vms.end(), [&](const auto& vm) { return vm.name == one.first; });
    if (is_configured || !one.second->is_idle()) return false;
    labels_.erase(one.first);
    return true;
  });
}

std::optional<vm::ClientEvents> Vms::take_back(const restart::Entry& entry, int window) {
  const auto& name = entry.place->vm;
  auto* vm = find(name);
  if (vm == nullptr && config_.allows_unknown_vms && name == vm::vm_name(entry.uid)) {
    VmSettings settings;
    settings.name = name;
    vm = add(settings);
  }
  if (vm != nullptr) return vm->take_back(entry, window);
  log::warning("client {} belongs to VM {}, which the configuration does not have any more", entry.id, name);
  return std::nullopt;
}

void Vms::end_legacy() {
  for (const auto& [name, vm] : vms_) vm->end_legacy();
}

void Vms::stop() {
  for (const auto& [name, vm] : vms_) vm->stop();
}

}  // namespace vgpu::broker
