#include "broker/admin/authority.hpp"

#include <grp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace vgpu::broker::admin {
namespace {

constexpr std::size_t kMostGroups = 65536;  // NGROUPS_MAX of Linux

/// Linux 4.13. Before that only the primary group is known.
std::vector<gid_t> read_groups(int connection) {
  std::vector<gid_t> groups(64);
  for (;;) {
    auto length = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
    const int rc = getsockopt(connection, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &length);
    if (rc != 0 && (errno != ERANGE || groups.size() >= kMostGroups)) return {};
    groups.resize(rc == 0 ? length / sizeof(gid_t) : kMostGroups);
    if (rc == 0) return groups;
  }
}

}  // namespace

base::Result<Asker> identify_asker(int connection) {
  ucred credentials{};
  socklen_t length = sizeof credentials;
  if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0)
    return base::Error{errno, "cannot read the peer's credentials: " + std::generic_category().message(errno)};
  Asker asker{credentials.pid, credentials.uid, read_groups(connection)};
  asker.groups.push_back(credentials.gid);
  return asker;
}

bool Authority::allows(const Asker& asker) const {
  if (asker.uid == 0 || asker.uid == own_uid) return true;
  return group && std::find(asker.groups.begin(), asker.groups.end(), *group) != asker.groups.end();
}

base::Result<std::optional<gid_t>> find_group(const std::string& name) {
  if (name.empty()) return std::optional<gid_t>();
  std::vector<char> buffer(16384);
  group entry{};
  group* found = nullptr;
  getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
  if (found == nullptr) return base::Error{ENOENT, "there is no group " + name + " (admin_group)"};
  return std::optional<gid_t>(entry.gr_gid);
}

}  // namespace vgpu::broker::admin
