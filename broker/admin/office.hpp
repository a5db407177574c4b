// Answers administrators: looks up what they ask for, and does what they want done. Whether they may has been settled.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "broker/admin/authority.hpp"
#include "broker/admin/request.hpp"
#include "broker/clients.hpp"
#include "broker/config.hpp"
#include "broker/vms.hpp"

namespace vgpu::broker::admin {

/// In the order in which people read it.
using Json = nlohmann::ordered_json;

/// A listening socket of the broker.
struct SocketReport {
  std::string kind;  // "main", "field", "chroot", "vm", "admin"
  std::string path;
  unsigned mode = 0;
  std::string group;  // as configured; empty: the broker's own
  std::string vm;     // whose it is, if it is one VM's
  // In a chroot:
  std::optional<uid_t> owner;  // its QEMU's user
  std::optional<std::uint32_t> domid;
};

class Office {
 public:
  /// What is asked, and what is acted upon; all of it outlives the office.
  struct Parts {
    Clients& clients;
    const Vms& vms;
    const Config& config;
    std::string config_path;
    std::function<std::vector<SocketReport>()> sockets;
    /// Gives what is wrong with the new configuration; empty: it is in force.
    std::function<std::vector<std::string>()> reload;
  };

  explicit Office(Parts parts);
  /// {"ok": true, ...} or refuse().
  Json answer(const Request& request, const Asker& asker);

 private:
  Json status() const;
  Json list(Subject subject) const;
  Json kill(const Request& request, const Asker& asker);
  Json quarantine(const std::string& vm, bool is_quarantined, const Asker& asker);
  Json reload(const Asker& asker);
  std::string check_vm(const std::string& name) const;

  Parts parts_;
  std::uint64_t started_ms_;
};

/// {"ok": false, "error": text}
Json refuse(const std::string& text);

}  // namespace vgpu::broker::admin
