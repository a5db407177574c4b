#include "broker/doors/identity.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "broker/vm/vm_name.hpp"

namespace vgpu::broker::doors {
namespace {

using base::Error;

template <typename Matches>
const VmSettings* find_vm(const Config& config, Matches matches) {
  const auto found = std::find_if(config.vms.begin(), config.vms.end(), matches);
  return found == config.vms.end() ? nullptr : &*found;
}

const VmSettings* find_uid(const Config& config, uid_t uid) {
  return find_vm(config, [uid](const VmSettings& vm) { return vm.uid == uid; });
}

const VmSettings* find_label(const Config& config, std::uint32_t vm_id) {
  return find_vm(config, [vm_id](const VmSettings& vm) { return vm.vm_id == vm_id; });
}

std::string show_label(std::uint32_t vm_id) { return "its label vm_id=" + std::to_string(vm_id); }

/// Doors that everybody can open are for VMs: who may use the GPU as a user of this host, the main door's mode says.
std::string check_client(const Config& config, const Entrance& entrance, const VmSettings* vm, uid_t uid) {
  const bool is_exposed = entrance.kind == Entrance::Kind::field || entrance.kind == Entrance::Kind::chroot;
  if (!is_exposed || vm != nullptr || config.allows_unknown_vms || uid == 0 || uid == geteuid()) return {};
  return "users without a [vm.NAME] are served on " + config.socket + ", and here only with unknown_vms = \"allow\"";
}

/// Empty, or how the label contradicts what is known of the VM.
std::string check_label(const Config& config, const VmSettings& vm, std::uint32_t label) {
  if (vm.vm_id)
    return vm.vm_id == label ? ""
                             : show_label(label) + " contradicts [vm." + vm.name +
                                   "], which has vm_id = " + std::to_string(*vm.vm_id);
  const auto* other = find_label(config, label);
  return other == nullptr ? "" : show_label(label) + " is that of [vm." + other->name + "], but it is VM " + vm.name;
}

base::Result<Identity> identify_unknown(const Config& config, const Identity& who, std::uint32_t label) {
  const auto* claimed = label != 0 ? find_label(config, label) : nullptr;
  if (claimed != nullptr && claimed->is_claimed) return Identity{claimed->name, claimed, {}};
  if (claimed != nullptr)
    return Error{EPERM, show_label(label) + " is that of [vm." + claimed->name +
                            "], which is not known by its label: this is " + who.vm};
  if (config.allows_unknown_vms) return who;
  return Error{EPERM, "no [vm.NAME] of the broker's configuration is " + who.vm +
                          " (uid or domid), and unknown_vms is \"refuse\""};
}

}  // namespace

const char* to_text(Entrance::Kind kind) {
  switch (kind) {
    case Entrance::Kind::main:
      return "main";
    case Entrance::Kind::field:
      return "field";
    case Entrance::Kind::chroot:
      return "chroot";
    case Entrance::Kind::vm:
      return "vm";
  }
  return "?";
}

base::Result<Identity> identify(const Config& config, const Entrance& entrance, uid_t uid) {
  const VmSettings* vm = nullptr;
  if (entrance.kind == Entrance::Kind::vm)
    vm = find_vm(config, [&](const VmSettings& one) { return one.name == entrance.vm; });
  if (entrance.kind == Entrance::Kind::chroot) {
    if (uid != entrance.owner)
      return Error{EPERM, "uid " + std::to_string(uid) + " is not the owner of " + entrance.path + " (uid " +
                              std::to_string(entrance.owner) + ")"};
    vm = find_vm(config, [&](const VmSettings& one) { return one.domid == entrance.domid; });
  }
  if (vm == nullptr) vm = find_uid(config, uid);
  return Identity{vm != nullptr ? vm->name : vm::vm_name(uid), vm, check_client(config, entrance, vm, uid)};
}

base::Result<Identity> identify_stub(const Config& config, const Identity& who, const Labels& labels,
                                     const LabelsInUse& in_use) {
  const auto label = labels.vm_id;
  if (who.settings != nullptr && label != 0)
    if (const auto problem = check_label(config, *who.settings, label); !problem.empty()) return Error{EPERM, problem};
  auto result = who.settings != nullptr ? base::Result<Identity>(who) : identify_unknown(config, who, label);
  if (!result) return result;
  const auto user = in_use.find(label);
  if (label != 0 && user != in_use.end() && user->second != result->vm)
    return Error{EEXIST, show_label(label) + " is claimed already, by VM " + user->second};
  return result;
}

}  // namespace vgpu::broker::doors
