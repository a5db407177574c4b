// Doors in the chroots of QEMU processes: XCP-ng runs the QEMU of domain N in root-N of one directory, as a user of its
// own and in a network namespace of its own, where it reaches nothing but a socket in its own tmp. Roots come and go
// with their domains; each belongs to its QEMU, which is trusted with nothing beyond its own door.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "broker/doors/exposed_door.hpp"
#include "broker/doors/folder_watch.hpp"

namespace vgpu::broker::doors {

/// The domain of a root's name, "root-N"; 0 if it is none.
std::uint32_t domid_of(std::string_view name);

class ChrootDoors {
 public:
  /// `context` outlives it. `directory` need not be there.
  ChrootDoors(DoorContext& context, const std::string& directory);

  /// Looks at everything. An error: another broker serves a root.
  base::Result<void> look();
  void open();
  void close();
  void shut();
  void list(std::vector<Entrance>& entrances) const;

 private:
  struct Root {
    explicit Root(DoorContext& context) : door(context) {}
    ExposedDoor door;
    int watch = -1;
  };

  void on_change(int watch);
  void look_at_changes();
  base::Result<void> look_at(const std::string& name);
  base::Result<void> look_at_tmp(const std::string& name, int root, uid_t owner);
  void watch_way();
  std::set<std::string> find_roots();

  DoorContext& context_;
  const std::string directory_;
  FolderWatch watch_;
  std::set<int> way_;  // watches of the directory and of the folder it lies in, or of what there is of the way to it
  std::map<std::string, Root> roots_;
  std::set<std::string> changed_;
  bool all_changed_ = false;
  bool is_unreadable_ = false;  // said
  event::Timer later_;
  event::Timer now_and_then_;
};

}  // namespace vgpu::broker::doors
