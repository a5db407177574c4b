#include "broker/doors/exposed_door.hpp"

#include <sys/stat.h>

#include "common/base/log.hpp"

namespace vgpu::broker::doors {

using base::ListenSocket;

base::Result<void> ExposedDoor::keep(const Entrance& entrance, base::UniqueFd folder,
                                     const ListenSocket::Access& access) {
  struct stat status {};
  fstat(folder.get(), &status);
  const bool is_same = status.st_dev == device_ && status.st_ino == inode_;
  if (door_ && is_same && door_->entrance().owner == entrance.owner && door_->is_in_place()) return {};
  remove();
  const auto name = entrance.path.substr(entrance.path.rfind('/') + 1);
  auto socket = ListenSocket::create_exposed({std::move(folder), name, entrance.path}, access);
  if (!socket) {
    complain(entrance.path, socket.error().text);
    return socket.error();
  }
  complaint_.clear();
  device_ = status.st_dev;
  inode_ = status.st_ino;
  door_ = std::make_unique<Door>(context_.loop, entrance, std::move(*socket), context_.receiver);
  if (context_.is_open) open();
  return {};
}

void ExposedDoor::complain(const std::string& path, const std::string& why) {
  if (why.empty() || why == complaint_) return;
  complaint_ = why;
  context_.limiter.write(log::Level::warning, path, "not served: {}", why);
}

void ExposedDoor::give_up(const std::string& path, const std::string& why) {
  remove();
  complain(path, why);
}

void ExposedDoor::remove() {
  if (!door_) return;
  const auto path = door_->entrance().path;
  door_.reset();
  context_.limiter.write(log::Level::info, path, "{} is gone", path);
}

void ExposedDoor::open() {
  if (!door_) return;
  const auto& path = door_->entrance().path;
  context_.limiter.write(log::Level::info, path, "[MEDIATOR] Accepting connections on {}", path);
  door_->open();
}

void ExposedDoor::close() {
  if (door_) door_->close();
}

void ExposedDoor::shut() {
  if (door_) door_->shut();
}

}  // namespace vgpu::broker::doors
