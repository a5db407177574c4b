#include "broker/doors/doors.hpp"

#include <fcntl.h>

#include <cerrno>
#include <system_error>

#include "common/base/log.hpp"
#include "common/base/service_sockets.hpp"

namespace vgpu::broker::doors {
namespace {

using base::ListenSocket;

// The file may have been removed: /tmp is swept in many ways.
constexpr std::chrono::milliseconds kLookAfterField{10'000};

base::Result<ListenSocket> make_main_socket(const Config& config,
                                            const std::optional<ListenSocket::Descriptors>& inherited) {
  if (inherited)
    if (auto socket = ListenSocket::adopt(config.socket, *inherited)) return socket;
  auto handed_over = base::take_service_sockets();
  if (handed_over.size() > 1)
    return base::Error{EINVAL, "the service manager hands over " + std::to_string(handed_over.size()) +
                                   " sockets; the broker takes one, at " + config.socket};
  if (!handed_over.empty()) return ListenSocket::take_over(config.socket, std::move(handed_over.front()), "broker");
  return ListenSocket::create(config.socket, {config.socket_mode, config.socket_group});
}

void open(Door& door) {
  door.open();
  log::info("[MEDIATOR] Accepting connections on {}", door.entrance().path);
}

}  // namespace

Doors::Doors(event::Loop& loop, const Config& config, LogLimiter& limiter, Receiver receiver)
    : config_(config), context_{loop, limiter, std::move(receiver)}, look_after_field_(loop) {}

base::Result<void> Doors::make_main(const std::optional<ListenSocket::Descriptors>& inherited) {
  auto socket = make_main_socket(config_, inherited);
  if (!socket) return socket.error();
  main_ = std::make_unique<Door>(context_.loop, Entrance{Entrance::Kind::main, config_.socket, {}, 0, 0},
                                 std::move(*socket), context_.receiver);
  return {};
}

base::Result<void> Doors::make_others() {
  for (const auto& vm : config_.vms)
    if (auto made = make_vm_door(vm); !made) return made.error().within("[vm." + vm.name + "]");
  if (!config_.field_socket.empty()) {
    field_ = std::make_unique<ExposedDoor>(context_);
    if (auto made = keep_field_door(); !made && made.error().code == EADDRINUSE) return made.error();
  }
  if (config_.chroot_directory.empty()) return {};
  chroots_ = std::make_unique<ChrootDoors>(context_, config_.chroot_directory);
  return chroots_->look();
}

base::Result<void> Doors::make_vm_door(const VmSettings& vm) {
  auto socket = ListenSocket::create(vm.socket, {vm.socket_mode, vm.socket_group});
  if (!socket) return socket.error();
  vms_.push_back(std::make_unique<Door>(context_.loop, Entrance{Entrance::Kind::vm, vm.socket, vm.name, 0, 0},
                                        std::move(*socket), context_.receiver));
  log::info("VM {}: listening for its stub on {} (mode {:04o})", vm.name, vm.socket, vm.socket_mode);
  return {};
}

base::Result<void> Doors::keep_field_door() {
  look_after_field_.start(kLookAfterField, [this] { (void)keep_field_door(); });
  const auto& path = config_.field_socket;
  const auto folder_path = path.substr(0, path.rfind('/') + 1);
  base::UniqueFd folder(::open(folder_path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!folder) {
    const int code = errno;
    field_->give_up(path, "cannot open " + folder_path + ": " + std::generic_category().message(code));
    return {};
  }
  return field_->keep({Entrance::Kind::field, path, {}, 0, 0}, std::move(folder),
                      {.mode = config_.field_socket_mode, .group = {}});
}

void Doors::open() {
  context_.is_open = true;
  for (const auto& door : vms_) doors::open(*door);
  if (field_) field_->open();
  if (chroots_) chroots_->open();
  doors::open(*main_);
}

void Doors::close() {
  context_.is_open = false;
  if (main_) main_->close();
  if (field_) field_->close();
  if (chroots_) chroots_->close();
  for (const auto& door : vms_) door->close();
}

void Doors::shut() {
  context_.is_open = false;
  if (main_) main_->shut();
  if (field_) field_->shut();
  if (chroots_) chroots_->shut();
  for (const auto& door : vms_) door->shut();
}

void Doors::remove_others() {
  if (main_) main_->close();
  look_after_field_.cancel();
  field_.reset();
  chroots_.reset();
  vms_.clear();
}

std::vector<Entrance> Doors::list() const {
  std::vector<Entrance> entrances;
  if (main_) entrances.push_back(main_->entrance());
  if (field_ && field_->door() != nullptr) entrances.push_back(field_->door()->entrance());
  for (const auto& door : vms_) entrances.push_back(door->entrance());
  if (chroots_) chroots_->list(entrances);
  return entrances;
}

}  // namespace vgpu::broker::doors
