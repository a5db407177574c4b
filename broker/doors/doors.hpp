// All doors of this broker (docs/design/008-host-service.md).
#pragma once

#include <memory>
#include <vector>

#include "broker/doors/chroot_doors.hpp"
#include "broker/doors/door.hpp"
#include "broker/doors/exposed_door.hpp"

namespace vgpu::broker::doors {

class Doors {
 public:
  /// `config` and `limiter` must outlive it.
  Doors(event::Loop& loop, const Config& config, LogLimiter& limiter, Receiver receiver);

  /// Makes the main door, which nobody can come through yet: while we have its lock no other broker serves.
  /// `inherited`: it is there since the earlier run of this process. Else it may be the service manager's.
  base::Result<void> make_main(const std::optional<base::ListenSocket::Descriptors>& inherited);
  /// Makes all others. Those in folders where others can write are made later where they cannot be made now; but an
  /// error if another broker serves them.
  base::Result<void> make_others();
  void open();
  /// Until open(): those who come wait.
  void close();
  /// For good, but the files stay: we end, and the next broker finds them.
  void shut();
  /// Of the closed main door.
  base::ListenSocket::Descriptors main_descriptors() const { return main_->descriptors(); }
  bool has_main() const { return main_ != nullptr; }

  /// Removes all but the main door, which is closed: while it is there no other broker begins.
  void remove_others();
  void remove_main() { main_.reset(); }

  /// All that are there.
  std::vector<Entrance> list() const;

 private:
  base::Result<void> make_vm_door(const VmSettings& vm);
  base::Result<void> keep_field_door();

  const Config& config_;
  DoorContext context_;
  std::unique_ptr<Door> main_;
  std::vector<std::unique_ptr<Door>> vms_;
  std::unique_ptr<ExposedDoor> field_;
  event::Timer look_after_field_;
  std::unique_ptr<ChrootDoors> chroots_;
};

}  // namespace vgpu::broker::doors
