#include "broker/vgpu_admin/reach.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace vgpu::admin {
namespace {

constexpr unsigned kSearch = 1, kWrite = 2;

bool allows(const struct stat& status, unsigned right, uid_t uid, const std::vector<gid_t>& groups) {
  if (uid == 0) return true;
  if (status.st_uid == uid) return (status.st_mode >> 6 & right) != 0;
  const bool in_group = std::find(groups.begin(), groups.end(), status.st_gid) != groups.end();
  return (status.st_mode >> (in_group ? 3 : 0) & right) != 0;
}

std::string refusal_of(const std::string& path, const struct stat& status, const char* right) {
  return fmt::format("{} does not let it {} (owner {}, group {}, mode {:04o})", path, right, status.st_uid,
                     status.st_gid, status.st_mode & 07777u);
}

/// Empty, or what stands in the way.
std::string find_obstacle(const std::string& path, uid_t uid, const std::vector<gid_t>& groups) {
  struct stat status {};
  for (auto end = path.find('/'); end != std::string::npos; end = path.find('/', end + 1)) {
    const auto folder = end == 0 ? std::string("/") : path.substr(0, end);
    if (stat(folder.c_str(), &status) != 0) return folder + ": " + std::generic_category().message(errno);
    if (!allows(status, kSearch, uid, groups)) return refusal_of(folder, status, "pass");
  }
  if (stat(path.c_str(), &status) != 0) return path + ": " + std::generic_category().message(errno);
  return allows(status, kWrite, uid, groups) ? "" : refusal_of(path, status, "write");
}

/// errno of the attempt, made as that user; 0: it may. -1: it could not be tried.
int try_as(const std::string& path, uid_t uid, gid_t gid, const std::vector<gid_t>& groups) {
  const pid_t child = fork();
  if (child < 0) return -1;
  if (child == 0) {
    if (setgroups(groups.size(), groups.data()) != 0 || setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0)
      _exit(255);
    _exit(access(path.c_str(), W_OK) == 0 ? 0 : errno);
  }
  int status = 0;
  if (waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) == 255) return -1;
  return WEXITSTATUS(status);
}

}  // namespace

std::vector<gid_t> groups_of(uid_t uid) {
  std::vector<char> buffer(16384);
  passwd entry{};
  passwd* found = nullptr;
  getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found);
  // Who has no name, as the QEMUs of XCP-ng, is in the group of the same number.
  if (found == nullptr) return {static_cast<gid_t>(uid)};
  std::vector<gid_t> groups(1024);
  int count = static_cast<int>(groups.size());
  if (getgrouplist(entry.pw_name, entry.pw_gid, groups.data(), &count) < 0) return {entry.pw_gid};
  groups.resize(static_cast<std::size_t>(count));
  return groups;
}

Reach compute_reach(const std::string& path, uid_t uid, const std::vector<gid_t>& groups) {
  auto obstacle = find_obstacle(path, uid, groups);
  const bool can = obstacle.empty();
  return {uid, can, std::move(obstacle), false};
}

Reach find_reach(const std::string& path, uid_t uid) {
  const auto groups = groups_of(uid);
  auto reach = compute_reach(path, uid, groups);
  const int tried = geteuid() == 0 ? try_as(path, uid, groups.front(), groups) : -1;
  if (tried < 0) return reach;
  reach.is_tried = true;
  reach.can = tried == 0;
  if (reach.can)
    reach.obstacle.clear();
  else if (reach.obstacle.empty())
    reach.obstacle = path + ": " + std::generic_category().message(tried) + " (owners and modes would allow it)";
  return reach;
}

}  // namespace vgpu::admin
