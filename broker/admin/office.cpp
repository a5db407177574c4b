#include "broker/admin/office.hpp"

#include <unistd.h>

#include <nlohmann/json.hpp>

#include "broker/admin/reports.hpp"
#include "common/base/log.hpp"

namespace vgpu::broker::admin {
namespace {

Json good() { return {{"ok", true}}; }

std::string who(const Asker& asker) { return fmt::format("uid {} (pid {})", asker.uid, asker.pid); }

}  // namespace

Json refuse(const std::string& text) { return {{"ok", false}, {"error", text}}; }

Office::Office(Parts parts) : parts_(std::move(parts)), started_ms_(shm::monotonic_ms()) {}

Json Office::answer(const Request& request, const Asker& asker) {
  switch (request.verb) {
    case Verb::status:
      return status();
    case Verb::list:
      return list(request.subject);
    case Verb::settings: {
      auto answer = good();
      answer["settings"] = describe_settings(parts_.config);
      return answer;
    }
    case Verb::kill:
      return kill(request, asker);
    case Verb::quarantine:
      return quarantine(request.vm, true, asker);
    case Verb::release:
      return quarantine(request.vm, false, asker);
    case Verb::reload:
      return reload(asker);
  }
  return refuse("unknown request");
}

Json Office::status() const {
  const auto& clients = parts_.clients;
  auto answer = good();
  answer["broker"] = {{"pid", getpid()},
                      {"uid", geteuid()},
                      {"version", VGPU_VERSION},
                      {"uptime_s", (shm::monotonic_ms() - started_ms_) / 1000},
                      {"config", parts_.config_path},
                      {"socket", parts_.config.socket},
                      {"admin_socket", parts_.config.admin_socket},
                      {"driver", parts_.config.driver},
                      {"worker", parts_.clients.settings().worker_path},
                      {"log_level", parts_.config.log_level},
                      {"log_file", parts_.config.log_file}};
  answer["clients"] = {
      {"count", clients.count()}, {"most", parts_.config.max_clients}, {"stuck_workers", clients.count_quarantined()}};
  answer["workers"] = describe_ends(clients.ends());
  answer["vms"] = {{"configured", parts_.config.vms.size()}, {"quarantined", clients.quarantined()}};
  answer["processed"] = describe_processed(sum_of(clients.processed()));
  return answer;
}

Json Office::list(Subject subject) const {
  auto answer = good();
  switch (subject) {
    case Subject::vms:
      answer["vms"] = list_vms(parts_.vms, parts_.clients);
      break;
    case Subject::clients:
      answer["clients"] = list_clients(parts_.clients);
      break;
    case Subject::workers:
      answer["workers"] = list_workers(parts_.vms, parts_.clients);
      break;
    case Subject::gpus:
      answer["gpus"] = list_gpus(parts_.clients);
      break;
    case Subject::sockets:
      answer["sockets"] = list_sockets(parts_.sockets());
      break;
  }
  return answer;
}

Json Office::kill(const Request& request, const Asker& asker) {
  auto answer = good();
  if (request.client != 0) {
    auto* client = parts_.clients.find(request.client);
    if (client == nullptr)
      return refuse(fmt::format("there is no client {}: vgpu-admin list clients has those there are", request.client));
    log::info("admin: {} ends client {} of {}", who(asker), request.client, client->vm());
    client->revoke();
    answer["ended"] = 1;
    return answer;
  }
  if (const auto problem = check_vm(request.vm); !problem.empty()) return refuse(problem);
  const auto ended = parts_.clients.revoke_vm(request.vm);
  log::info("admin: {} ends all {} client(s) of {}", who(asker), ended, request.vm);
  answer["ended"] = ended;
  return answer;
}

Json Office::quarantine(const std::string& vm, bool is_quarantined, const Asker& asker) {
  auto& clients = parts_.clients;
  const bool was = clients.quarantined().contains(vm);
  // A name that the configuration does not have any more can still be released.
  if (const auto problem = check_vm(vm); !problem.empty() && !was) return refuse(problem);
  if (was == is_quarantined) return refuse(vm + (was ? " is in quarantine already" : " is not in quarantine"));
  const auto done = clients.set_quarantined(vm, is_quarantined);
  if (is_quarantined)
    log::warning("admin: {} puts {} into quarantine; {} client(s) are ended", who(asker), vm, done.revoked);
  else
    log::info("admin: {} releases {} from quarantine", who(asker), vm);
  auto answer = good();
  answer["ended"] = done.revoked;
  if (done.not_written.empty()) return answer;
  log::error("{}; the quarantine as it is now ends with this broker", done.not_written);
  answer["warning"] = "done, but a broker that comes after this one will not know: " + done.not_written;
  return answer;
}

Json Office::reload(const Asker& asker) {
  log::info("admin: {} has the configuration read again", who(asker));
  const auto errors = parts_.reload();
  if (errors.empty()) return good();
  auto answer = refuse("the configuration has errors, and stays as it was");
  answer["errors"] = errors;
  return answer;
}

/// Empty if there is such a VM: one that is reached through a device, or a user's. A slip of the pen must not look like
/// success.
std::string Office::check_vm(const std::string& name) const {
  const bool is_reached = parts_.vms.all().contains(name);
  const bool is_user = name.starts_with("uid-") && name.size() > 4 && name.size() <= 14 &&
                       name.find_first_not_of("0123456789", 4) == std::string::npos;
  if (is_reached || is_user || parts_.clients.processed().contains(name)) return {};
  return "there is no VM " + name + ": vgpu-admin list vms has those there are (of a user of this host: uid-NUMBER)";
}

}  // namespace vgpu::broker::admin
