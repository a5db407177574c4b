// Learns that something appears in folders, or goes (inotify). Each watch tells once: to look again is the same as to
// watch again, so nobody who can write to a folder makes us do more than we choose to.
#pragma once

#include <functional>
#include <optional>

#include "broker/event/event.hpp"
#include "common/base/unique_fd.hpp"

namespace vgpu::broker::doors {

class FolderWatch {
 public:
  /// Told of a watch that has fired; -1: some were lost, look at everything.
  using OnChange = std::function<void(int watch)>;

  FolderWatch(event::Loop& loop, OnChange on_change);

  /// Watches the folder behind a descriptor, which may be O_PATH; -1 if that cannot be. Watching it again gives the
  /// same number.
  int add(int folder);
  void remove(int watch);

 private:
  void read();

  OnChange on_change_;
  std::optional<event::Readable> events_;  // none: the kernel gives us no inotify
};

}  // namespace vgpu::broker::doors
