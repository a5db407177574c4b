// A door in a folder where others can write: made, looked after, and made again when its file is taken away.
#pragma once

#include <memory>
#include <string>

#include "broker/doors/door.hpp"
#include "broker/log_limiter.hpp"

namespace vgpu::broker::doors {

/// What all doors of a broker have in common. Outlives them.
struct DoorContext {
  event::Loop& loop;
  LogLimiter& limiter;  // of lines that whoever owns the folder can provoke
  const Receiver receiver;
  bool is_open = false;  // doors that are made from now on let people in
};

class ExposedDoor {
 public:
  explicit ExposedDoor(DoorContext& context) : context_(context) {}
  ~ExposedDoor() { remove(); }
  ExposedDoor(const ExposedDoor&) = delete;
  ExposedDoor& operator=(const ExposedDoor&) = delete;

  /// There shall be such a door in `folder`: makes it unless it is in place. What is wrong is said once. Error
  /// EADDRINUSE: another broker serves it.
  base::Result<void> keep(const Entrance& entrance, base::UniqueFd folder, const base::ListenSocket::Access& access);
  /// There can be none, because of this; empty: there need not be one.
  void give_up(const std::string& path, const std::string& why);
  void remove();
  void open();
  void close();
  /// For good, as Door::shut().
  void shut();
  const Door* door() const { return door_.get(); }

 private:
  void complain(const std::string& path, const std::string& why);

  DoorContext& context_;
  std::unique_ptr<Door> door_;
  dev_t device_ = 0;  // of the folder
  ino_t inode_ = 0;
  std::string complaint_;  // the latest, until it is cured
};

}  // namespace vgpu::broker::doors
