#include "broker/doors/doors.hpp"

#include "common/base/log.hpp"

namespace vgpu::broker::doors {

using base::ListenSocket;

Doors::Doors(event::Loop& loop, const Config& config, Receiver receiver)
    : loop_(loop), config_(config), receiver_(std::move(receiver)) {}

base::Result<void> Doors::make_main(const std::optional<ListenSocket::Descriptors>& inherited) {
  const auto make = [&]() -> base::Result<ListenSocket> {
    if (inherited)
      if (auto socket = ListenSocket::adopt(config_.socket, *inherited)) return socket;
    return ListenSocket::create(config_.socket, {config_.socket_mode, config_.socket_group});
  };
  auto socket = make();
  if (!socket) return socket.error();
  main_ = std::make_unique<Door>(loop_, Entrance{Entrance::Kind::main, config_.socket, {}, 0, 0}, std::move(*socket),
                                 receiver_);
  return {};
}

base::Result<void> Doors::make_others() {
  for (const auto& vm : config_.vms)
    if (auto made = make_vm_door(vm); !made) return made.error().within("[vm." + vm.name + "]");
  return {};
}

base::Result<void> Doors::make_vm_door(const VmSettings& vm) {
  auto socket = ListenSocket::create(vm.socket, {vm.socket_mode, vm.socket_group});
  if (!socket) return socket.error();
  vms_.push_back(std::make_unique<Door>(loop_, Entrance{Entrance::Kind::vm, vm.socket, vm.name, 0, 0},
                                        std::move(*socket), receiver_));
  log::info("VM {}: listening for its stub on {} (mode {:04o})", vm.name, vm.socket, vm.socket_mode);
  return {};
}

void Doors::open() {
  for (const auto& door : vms_) door->open();
  main_->open();
}

void Doors::close() {
  if (main_) main_->close();
  for (const auto& door : vms_) door->close();
}

void Doors::shut() {
  if (main_) main_->shut();
  for (const auto& door : vms_) door->shut();
}

void Doors::remove_others() {
  if (main_) main_->close();
  vms_.clear();
}

std::vector<Entrance> Doors::list() const {
  std::vector<Entrance> entrances;
  if (main_) entrances.push_back(main_->entrance());
  for (const auto& door : vms_) entrances.push_back(door->entrance());
  return entrances;
}

}  // namespace vgpu::broker::doors
