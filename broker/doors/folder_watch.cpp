#include "broker/doors/folder_watch.hpp"

#include <sys/inotify.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <system_error>

#include "common/base/log.hpp"

namespace vgpu::broker::doors {
namespace {

constexpr std::uint32_t kChanges =
    IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ATTRIB;

}  // namespace

FolderWatch::FolderWatch(event::Loop& loop, OnChange on_change) : on_change_(std::move(on_change)) {
  base::UniqueFd events(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (events)
    events_.emplace(loop, std::move(events), [this] { read(); });
  else
    log::warning(
        "no inotify ({}): what appears in chroot_directory is served late; raise fs.inotify.max_user_instances",
        std::generic_category().message(errno));
}

int FolderWatch::add(int folder) {
  if (!events_) return -1;
  const auto path = "/proc/self/fd/" + std::to_string(folder);
  return inotify_add_watch(events_->descriptor(), path.c_str(), kChanges | IN_ONLYDIR | IN_ONESHOT);
}

void FolderWatch::remove(int watch) {
  if (events_ && watch >= 0) inotify_rm_watch(events_->descriptor(), watch);
}

// As much as fits, once a turn of the loop: the rest waits for the next.
void FolderWatch::read() {
  alignas(inotify_event) char buffer[16384];
  const auto size = ::read(events_->descriptor(), buffer, sizeof buffer);
  for (ssize_t at = 0; at < size;) {
    inotify_event event{};
    std::memcpy(&event, buffer + at, sizeof event);
    at += static_cast<ssize_t>(sizeof event + event.len);
    if ((event.mask & IN_Q_OVERFLOW) != 0)
      on_change_(-1);
    else if ((event.mask & IN_IGNORED) == 0)
      on_change_(event.wd);
  }
}

}  // namespace vgpu::broker::doors
