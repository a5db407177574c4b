// All VMs that are reached through a device: those of the configuration, and unknown ones while they are there.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "broker/doors/identity.hpp"
#include "broker/vm/vm.hpp"

namespace vgpu::broker {

class Vms {
 public:
  /// Both must outlive it.
  Vms(event::Loop& loop, const Config& config, Clients& clients);

  /// The VM of a stub that came through a door as `who`; an error says why it is refused.
  base::Result<vm::Vm*> find_stub(const doors::Identity& who, const doors::Labels& labels);
  /// A channel of an earlier broker: see Vm::take_back(). Nothing: there is no such VM any more.
  std::optional<vm::ClientEvents> take_back(const restart::Entry& entry, int window);
  vm::Vm* find(const std::string& name);
  const std::map<std::string, std::unique_ptr<vm::Vm>>& all() const { return vms_; }
  /// Before the broker's program is executed anew.
  void end_legacy();
  /// The broker ends: all stubs are let go.
  void stop();

 private:
  vm::Vm* add(const VmSettings& settings);
  base::Result<vm::Vm*> find_unknown(const std::string& name, const doors::Labels& labels);
  void forget_idle();

  event::Loop& loop_;
  const Config& config_;
  Clients& clients_;
  std::map<std::string, std::unique_ptr<vm::Vm>> vms_;
  std::map<std::string, std::uint32_t> labels_;  // of the latest stub of each
};

}  // namespace vgpu::broker
