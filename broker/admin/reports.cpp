#include "broker/admin/reports.hpp"

#include <fmt/format.h>
#include <sys/types.h>

#include <algorithm>
#include <compare>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

namespace vgpu::broker::admin {
namespace {

std::string octal(unsigned mode) { return fmt::format("{:04o}", mode); }

std::string state_of(const vm::Client& client) {
  if (client.is_quarantined()) return "stuck";
  return client.is_ending() ? "ending" : "running";
}

std::map<std::string, std::size_t> count_per_vm(const Clients& clients) {
  std::map<std::string, std::size_t> counts;
  for (const auto& [id, client] : clients.all()) ++counts[client->vm()];
  return counts;
}

const char* word_of(control::ExitClass kind) {
  static constexpr const char* kWords[] = {"none",        "clean",     "usage",    "protocol_violation",
                                           "gpu_fault",   "no_driver", "internal", "killed_by_signal",
                                           "client_gone", "revoked"};
  const auto index = static_cast<std::size_t>(kind);
  return index < std::size(kWords) ? kWords[index] : "unknown";
}

/// What is said of every VM, however it is reached.
struct Common {
  const Clients& clients;
  const std::map<std::string, std::size_t> counts = count_per_vm(clients);
  const Totals::PerVm processed = clients.processed();

  void add_to(Json& entry, const std::string& name) const {
    const auto count = counts.find(name);
    const auto done = processed.find(name);
    entry["clients"] = count == counts.end() ? 0 : count->second;
    entry["quarantined"] = clients.quarantined().contains(name);
    entry["processed"] = describe_processed(done == processed.end() ? Processed{} : done->second);
  }
};

/// Requests that wait, and how many were answered with which error since this broker began; empty if there are none.
Json describe_legacy(const legacy::Desk& desk) {
  Json entry = Json::object();
  if (desk.waiting() != 0) entry["waiting"] = desk.waiting();
  const auto& by_error = desk.counters().by_error;
  for (std::uint32_t error = 1; error < by_error.size(); ++error)
    if (by_error[error] != 0) entry["errors"][legacy::error_name(error)] = by_error[error];
  return entry;
}

Json describe_device(const vm::Vm& vm) {
  const auto report = vm.report();
  Json entry = {{"vm", vm.name()}, {"kind", "device"}, {"link", report.link}, {"socket", report.socket}};
  if (const auto uid = vm.settings().uid) entry["uid"] = *uid;
  if (const auto domid = vm.settings().domid) entry["domid"] = *domid;
  entry["pool"] = vm.standing().pool;
  entry["priority"] = to_text(vm.standing().priority);
  if (auto legacy = describe_legacy(vm.legacy().desk()); !legacy.empty()) entry["legacy"] = std::move(legacy);
  if (report.stub_pid != 0) entry["stub"] = {{"pid", report.stub_pid}, {"uid", report.stub_uid}};
  if (report.window_size != 0) entry["window_mib"] = report.window_size >> 20;
  if (report.link == "up")
    entry["labels"] = {{"vm_id", report.label_vm_id},
                       {"pool", std::string(1, report.label_pool)},
                       {"priority", report.label_priority}};
  return entry;
}

/// What makes one GPU of several workers' the same: its identity, where it is known, and what they say of its driver.
struct Gpu {
  std::string uuid, pci, name, driver;
  std::int32_t version = 0;
  auto operator<=>(const Gpu&) const = default;
};

/// What all clients together do with one GPU.
struct GpuUse {
  std::size_t workers = 0;    ///< that see it
  std::uint32_t devices = 0;  ///< that the one of them sees which sees most
  std::size_t clients = 0;    ///< with a context on it
  std::uint64_t memory_bytes = 0;
  std::uint64_t total_bytes = 0;
  std::set<std::string> vms;  ///< of these clients
};

std::string uuid_text(const std::array<std::uint8_t, 16>& uuid) {
  std::string text = "GPU-";
  for (std::size_t i = 0; i < uuid.size(); ++i)
    text += fmt::format("{}{:02x}", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", uuid[i]);
  return text;
}

std::string pci_text(const shm::DeviceUse& device) {
  return fmt::format("{:04x}:{:02x}:{:02x}.0", device.pci_domain, device.pci_bus, device.pci_device);
}

/// On which of its devices a client holds anything, by its own numbers for them.
Json describe_use(const std::vector<shm::DeviceUse>& devices) {
  Json list = Json::array();
  for (std::size_t number = 0; number < devices.size(); ++number) {
    const auto& device = devices[number];
    if (device.contexts == 0 && device.requested_bytes == 0) continue;
    list.push_back({{"device", number},
                    {"pci", pci_text(device)},
                    {"uuid", uuid_text(device.uuid)},
                    {"contexts", device.contexts},
                    {"memory_bytes", device.requested_bytes}});
  }
  return list;
}

/// Adds what one client's worker says of the GPUs it sees.
void add_gpus(const vm::Client& client, const vm::WorkerFacts& facts, std::map<Gpu, GpuUse>& gpus) {
  const auto devices = client.devices();
  const auto add = [&](const std::string& uuid, const std::string& pci, const std::string& name) -> GpuUse& {
    auto& use = gpus[{uuid, pci, name, facts.driver, facts.driver_version}];
    ++use.workers;
    use.devices = std::max(use.devices, facts.device_count);
    return use;
  };
  if (devices.empty() && facts.device_count != 0) add({}, {}, facts.device_name);  // a worker of an older build
  for (const auto& device : devices) {
    auto& use = add(uuid_text(device.uuid), pci_text(device), control::get_text(device.name));
    use.total_bytes = device.total_bytes;
    add_up(use.memory_bytes, device.requested_bytes);
    if (device.contexts == 0) continue;
    ++use.clients;
    use.vms.insert(client.vm());
  }
}

Json describe_vm_settings(const VmSettings& vm) {
  Json entry = {{"name", vm.name}};
  if (vm.uid) entry["uid"] = *vm.uid;
  if (vm.domid) entry["domid"] = *vm.domid;
  if (vm.vm_id) entry["vm_id"] = *vm.vm_id;
  entry.update({{"identity", vm.is_claimed ? "claimed" : "proven"},
                {"pool", vm.pool},
                {"priority", to_text(vm.priority)},
                {"socket", vm.socket},
                {"socket_mode", octal(vm.socket_mode)},
                {"socket_group", vm.socket_group},
                {"window_size_max", vm.window_size_max},
                {"channel_size", vm.channel_size},
                {"channels", vm.channels},
                {"legacy_rate", vm.legacy_rate},
                {"legacy_timeout_ms", vm.legacy_timeout.count()}});
  return entry;
}

}  // namespace

Json describe_processed(const Processed& processed) {
  auto total = processed.records;
  add_up(total, processed.legacy_requests);
  return {{"total", total}, {"records", processed.records}, {"legacy_requests", processed.legacy_requests}};
}

Json describe_ends(const WorkerEnds& ends) {
  Json counts = Json::object();
  for (const auto& [kind, count] : ends.counts()) counts[word_of(kind)] = count;
  Json entry = {{"ended", std::move(counts)}};
  if (const auto& last = ends.last_failure())
    entry["last_failure"] = {
        {"worker", last->worker},
        {"client", last->client},
        {"vm", last->vm},
        {"class", static_cast<unsigned>(last->exit.kind)},
        {"detail", last->exit.detail},
        {"text", control::describe(last->exit)},
        {"seconds_ago",
         std::chrono::duration_cast<std::chrono::seconds>(WorkerEnds::Clock::now() - last->when).count()}};
  return entry;
}

Json describe_settings(const Config& config) {
  Json vms = Json::array();
  for (const auto& vm : config.vms) vms.push_back(describe_vm_settings(vm));
  return {{"broker",
           {{"socket", config.socket},
            {"socket_mode", octal(config.socket_mode)},
            {"socket_group", config.socket_group},
            {"field_socket", config.field_socket},
            {"field_socket_mode", octal(config.field_socket_mode)},
            {"chroot_directory", config.chroot_directory},
            {"unknown_vms", config.allows_unknown_vms ? "allow" : "refuse"},
            {"admin_socket", config.admin_socket},
            {"admin_group", config.admin_group},
            {"heartbeat_s", config.heartbeat_s},
            {"worker", config.worker},
            {"log_level", config.log_level},
            {"log_format", config.log_format},
            {"log_file", config.log_file},
            {"max_clients", config.max_clients},
            {"max_clients_per_uid", config.max_clients_per_uid},
            {"kill_timeout_ms", config.kill_timeout.count()}}},
          {"gpu", {{"driver", config.driver}}},
          {"client", {{"window_size", config.window_size}, {"hello_timeout_ms", config.hello_timeout.count()}}},
          {"vm", std::move(vms)}};
}

Json list_vms(const Vms& vms, const Clients& clients) {
  const Common common{clients};
  Json list = Json::array();
  std::set<std::string> others = clients.quarantined();
  for (const auto& [name, count] : common.counts) others.insert(name);
  for (const auto& [name, processed] : common.processed) others.insert(name);
  for (const auto& [name, vm] : vms.all()) {
    auto entry = describe_device(*vm);
    common.add_to(entry, name);
    list.push_back(std::move(entry));
    others.erase(name);
  }
  for (const auto& name : others) {
    Json entry = {{"vm", name}, {"kind", name.starts_with("uid-") ? "user" : "not configured"}};
    common.add_to(entry, name);
    list.push_back(std::move(entry));
  }
  return list;
}

Json list_clients(const Clients& clients) {
  Json list = Json::array();
  for (const auto& [id, client] : clients.all()) {
    const auto usage = client->usage();
    list.push_back({{"client", id},
                    {"vm", client->vm()},
                    {"pid", client->pid()},
                    {"uid", client->uid()},
                    {"worker", client->worker_pid()},
                    {"state", state_of(*client)},
                    {"records", usage.records},
                    {"memory_bytes", usage.requested_bytes},
                    {"pinned_bytes", usage.pinned_bytes},
                    {"gpus", describe_use(client->devices())}});
  }
  return list;
}

Json list_workers(const Vms& vms, const Clients& clients) {
  Json list = Json::array();
  for (const auto& [id, client] : clients.all()) {
    const auto usage = client->usage();
    Json entry = {{"worker", client->worker_pid()},
                  {"client", id},
                  {"vm", client->vm()},
                  {"state", client->facts() ? state_of(*client) : "starting"},
                  {"records", usage.records},
                  {"submissions", usage.submissions}};
    if (const auto& facts = client->facts()) entry["gpu"] = facts->device_name;
    if (const auto& facts = client->facts()) entry["driver"] = facts->driver;
    list.push_back(std::move(entry));
  }
  for (const auto& [name, vm] : vms.all())
    if (const auto pid = vm->report().legacy_worker; pid != 0)
      list.push_back({{"worker", pid},
                      {"vm", name},
                      {"state", "legacy"},
                      {"records", vm->legacy().desk().counters().completed()}});
  return list;
}

Json list_gpus(const Clients& clients) {
  std::map<Gpu, GpuUse> gpus;
  for (const auto& [id, client] : clients.all())
    if (const auto& facts = client->facts()) add_gpus(*client, *facts, gpus);
  Json list = Json::array();
  for (const auto& [gpu, use] : gpus) {
    Json entry = {{"gpu", gpu.name},
                  {"devices", use.devices},
                  {"driver", gpu.driver},
                  {"cuda_version", fmt::format("{}.{}", gpu.version / 1000, gpu.version % 1000 / 10)},
                  {"workers", use.workers},
                  {"clients", use.clients},
                  {"vms", use.vms},
                  {"memory_bytes", use.memory_bytes},
                  {"total_bytes", use.total_bytes}};
    if (!gpu.uuid.empty()) entry["uuid"] = gpu.uuid;
    if (!gpu.pci.empty()) entry["pci"] = gpu.pci;
    list.push_back(std::move(entry));
  }
  return list;
}

SocketReport report_socket(const doors::Entrance& entrance, const Config& config) {
  using Kind = doors::Entrance::Kind;
  SocketReport report{doors::to_text(entrance.kind), entrance.path, config.socket_mode,
                      config.socket_group,           entrance.vm,   {}};
  if (entrance.kind == Kind::field) report.mode = config.field_socket_mode;
  if (entrance.kind == Kind::chroot) report.mode = 0600;
  if (entrance.kind == Kind::chroot) report.owner = entrance.owner;
  if (entrance.kind == Kind::chroot) report.domid = entrance.domid;
  if (entrance.kind != Kind::main) report.group.clear();
  for (const auto& vm : config.vms) {
    if (entrance.kind != Kind::vm || vm.name != entrance.vm) continue;
    report.mode = vm.socket_mode;
    report.group = vm.socket_group;
  }
  return report;
}

Json list_sockets(const std::vector<SocketReport>& sockets) {
  Json list = Json::array();
  for (const auto& one : sockets) {
    Json entry = {{"kind", one.kind}, {"path", one.path}, {"mode", octal(one.mode)}};
    if (!one.group.empty()) entry["group"] = one.group;
    if (!one.vm.empty()) entry["vm"] = one.vm;
    if (one.owner) entry["owner"] = *one.owner;
    if (one.domid) entry["domid"] = *one.domid;
    list.push_back(std::move(entry));
  }
  return list;
}

}  // namespace vgpu::broker::admin
