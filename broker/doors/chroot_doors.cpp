#include "broker/doors/chroot_doors.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <system_error>

#include "common/base/log.hpp"
#include "common/control/default_socket.hpp"

namespace vgpu::broker::doors {
namespace {

using base::UniqueFd;
using std::chrono::milliseconds;

constexpr std::string_view kPrefix = "root-";
constexpr std::uint32_t kMaxDomid = 0x7fef;
// XCP-ng's toolstack: QEMU of domain N runs as this user plus N.
constexpr uid_t kFirstQemuUser = 65535;
// Changes within this time are one: who changes things all the time makes us look ten times a second.
constexpr milliseconds kGather{100};
// For what no watch tells: a socket that was removed, a watch that could not be set.
constexpr milliseconds kNowAndThen{10'000};

UniqueFd open_folder(int at, const char* name, int flags) {
  return UniqueFd(openat(at, name, O_PATH | O_DIRECTORY | O_CLOEXEC | flags));
}

std::string os_text(int code) { return std::generic_category().message(code); }

}  // namespace

std::uint32_t domid_of(std::string_view name) {
  if (!name.starts_with(kPrefix)) return 0;
  name.remove_prefix(kPrefix.size());
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  const bool is_number = error == std::errc() && end == name.data() + name.size() && !name.starts_with('0');
  return is_number && number <= kMaxDomid ? number : 0;
}

ChrootDoors::ChrootDoors(DoorContext& context, const std::string& directory)
    : context_(context),
      directory_(directory.substr(0, directory.find_last_not_of('/') + 1)),
      watch_(context.loop, [this](int watch) { on_change(watch); }),
      later_(context.loop),
      now_and_then_(context.loop) {}

void ChrootDoors::on_change(int watch) {
  const auto root =
      std::find_if(roots_.begin(), roots_.end(), [&](const auto& one) { return one.second.watch == watch; });
  if (watch >= 0 && root != roots_.end()) {
    root->second.watch = -1;
    changed_.insert(root->first);
  } else {
    way_.erase(watch);
    all_changed_ = true;
  }
  if (!later_.is_running()) later_.start(kGather, [this] { look_at_changes(); });
}

void ChrootDoors::look_at_changes() {
  if (!context_.is_open) return;  // open() looks
  if (all_changed_) return void(look());
  for (const auto& name : std::exchange(changed_, {}))
    if (roots_.contains(name)) (void)look_at(name);
}

base::Result<void> ChrootDoors::look() {
  all_changed_ = false;
  changed_.clear();
  now_and_then_.start(kNowAndThen, [this] {
    all_changed_ = true;
    look_at_changes();
  });
  watch_way();  // before we look, so that nothing is missed
  const auto names = find_roots();
  std::erase_if(roots_, [&](const auto& one) {
    if (names.contains(one.first)) return false;
    watch_.remove(one.second.watch);
    return true;
  });
  base::Result<void> result;
  for (const auto& name : names)
    if (auto served = look_at(name); !served && served.error().code == EADDRINUSE) result = served.error();
  return result;
}

/// The directory and what it lies in are watched; where they are not there, the last folder that is.
void ChrootDoors::watch_way() {
  std::set<int> way;
  std::string path = directory_;
  for (unsigned found = 0; found < 2 && !path.empty(); path = path.substr(0, path.rfind('/'))) {
    const auto folder = open_folder(AT_FDCWD, path.c_str(), 0);
    if (!folder) continue;
    way.insert(watch_.add(folder.get()));
    ++found;
  }
  if (way.size() < 2)
    if (const auto top = open_folder(AT_FDCWD, "/", 0)) way.insert(watch_.add(top.get()));
  for (const int watch : way_)
    if (!way.contains(watch)) watch_.remove(watch);
  way.erase(-1);
  way_ = std::move(way);
}

std::set<std::string> ChrootDoors::find_roots() {
  std::set<std::string> names;
  DIR* folder = opendir(directory_.c_str());
  const int code = errno;
  if (folder == nullptr) {
    const bool is_missing = code == ENOENT || code == ENOTDIR;
    if (!is_missing && !std::exchange(is_unreadable_, true))
      log::warning("cannot look into chroot_directory {}: {}", directory_, os_text(code));
    return names;
  }
  is_unreadable_ = false;
  while (const auto* entry = readdir(folder))
    if (domid_of(entry->d_name) != 0) names.insert(entry->d_name);
  closedir(folder);
  return names;
}

base::Result<void> ChrootDoors::look_at(const std::string& name) {
  auto& root = roots_.try_emplace(name, context_).first->second;
  const auto path = directory_ + "/" + name;
  const auto folder = open_folder(AT_FDCWD, path.c_str(), O_NOFOLLOW);
  struct stat status {};
  if (!folder || fstat(folder.get(), &status) != 0) {
    const int code = errno;
    root.door.give_up(path, code == ENOENT ? "" : "it is no folder that can be opened: " + os_text(code));
    return {};
  }
  const int watch = watch_.add(folder.get());
  if (watch != root.watch) watch_.remove(std::exchange(root.watch, watch));
  const uid_t owner = status.st_uid != 0 ? status.st_uid : kFirstQemuUser + domid_of(name);
  return look_at_tmp(name, folder.get(), owner);
}

// The root is its QEMU's, to rename and replace things in as it likes: no step goes by a path.
base::Result<void> ChrootDoors::look_at_tmp(const std::string& name, int root, uid_t owner) {
  auto& door = roots_.at(name).door;
  const auto path = directory_ + "/" + name + "/tmp";
  auto tmp = open_folder(root, "tmp", O_NOFOLLOW);
  if (!tmp) {
    const int code = errno;
    door.give_up(path, code == ENOENT ? "" : path + " is no folder that can be opened: " + os_text(code));
    return {};
  }
  const Entrance entrance{Entrance::Kind::chroot, path + "/" + control::kFieldSocketName, {}, domid_of(name), owner};
  return door.keep(entrance, std::move(tmp), {.mode = 0600, .group = {}, .owner = owner});
}

void ChrootDoors::open() {
  for (auto& [name, root] : roots_) root.door.open();
  // What has changed while we were closed.
  if (all_changed_ || !changed_.empty()) look_at_changes();
}

void ChrootDoors::close() {
  for (auto& [name, root] : roots_) root.door.close();
}

void ChrootDoors::shut() {
  for (auto& [name, root] : roots_) root.door.shut();
}

void ChrootDoors::list(std::vector<Entrance>& entrances) const {
  for (const auto& [name, root] : roots_)
    if (root.door.door() != nullptr) entrances.push_back(root.door.door()->entrance());
}

}  // namespace vgpu::broker::doors
