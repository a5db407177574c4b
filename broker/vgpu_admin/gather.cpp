#include "broker/vgpu_admin/gather.hpp"

#include <fcntl.h>
#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "broker/config.hpp"
#include "broker/vgpu_admin/processes.hpp"
#include "broker/vgpu_admin/reach.hpp"
#include "broker/vgpu_admin/system_facts.hpp"

namespace vgpu::admin {
namespace {

constexpr std::string_view kAdminSuffix = ".admin";

broker::LoadedConfig load(const Options& options) {
  return broker::load_config(options.config.empty() ? broker::kDefaultConfigPath : options.config,
                             !options.config.empty(), {});
}

/// The main socket that belongs to a named admin socket of the default form, else that of the configuration.
std::string main_socket_of(const Options& options, const broker::Config& config) {
  if (options.socket.ends_with(kAdminSuffix))
    return options.socket.substr(0, options.socket.size() - kAdminSuffix.size());
  return config.socket;
}

void look_at_lock(BrokerFacts& facts) {
  const auto path = facts.socket + ".lock";
  facts.lock_pid = std::atoi(read_text(path).c_str());
  facts.holder = lock_holder(path);
  facts.is_lock_pid_alive = facts.lock_pid > 0 && is_alive(facts.lock_pid);
  if (facts.holder != 0) facts.lock_program = program_of(facts.holder);
}

/// Null if the broker does not say.
Json ask(BrokerFacts& facts, Broker& broker, const Json& request) {
  auto answer = broker.ask(request);
  if (!answer) {
    facts.ask_error = answer.error().code;
    facts.ask_text = answer.error().text;
    return {};
  }
  if (!answer->value("ok", false)) facts.refusal = answer->value("error", "the broker refuses");
  return answer->value("ok", false) ? std::move(*answer) : Json();
}

/// What the broker says of itself, if it does.
struct Said {
  Json settings, sockets, vms;
};

Said ask_broker(BrokerFacts& facts) {
  Said said;
  auto broker = Broker::connect(facts.admin_socket);
  if (!broker) {
    facts.ask_error = broker.error().code;
    facts.ask_text = broker.error().text;
    return said;
  }
  facts.status = ask(facts, *broker, {{"request", "status"}});
  if (facts.status.is_null()) return said;
  facts.socket = facts.status.at("broker").value("socket", facts.socket);
  said.settings = ask(facts, *broker, {{"request", "settings"}});
  if (!said.settings.is_null()) facts.log = said.settings.value("/settings/broker/log_file"_json_pointer, "");
  if (facts.log.empty()) facts.log = standard_error_of(facts.status.at("broker").value("pid", 0));
  said.sockets = ask(facts, *broker, {{"request", "list"}, {"what", "sockets"}});
  said.vms = ask(facts, *broker, {{"request", "list"}, {"what", "vms"}});
  return said;
}

std::string group_name(gid_t gid) {
  std::vector<char> buffer(16384);
  group entry{};
  group* found = nullptr;
  getgrgid_r(gid, &entry, buffer.data(), buffer.size(), &found);
  return found == nullptr ? std::to_string(gid) : entry.gr_name;
}

/// errno of connecting, and who listens.
void try_socket(SocketFacts& socket) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket.path.size() >= sizeof address.sun_path) return;
  socket.path.copy(address.sun_path, socket.path.size());
  const base::UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int rc = connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  socket.connect_error = rc == 0 ? 0 : errno;
  ucred owner{};
  socklen_t length = sizeof owner;
  if (rc == 0 && getsockopt(probe.get(), SOL_SOCKET, SO_PEERCRED, &owner, &length) == 0) socket.listener = owner.pid;
}

void look_at_socket(SocketFacts& socket, const Options& options) {
  struct stat status {};
  socket.exists = lstat(socket.path.c_str(), &status) == 0;
  if (!socket.exists) return;
  socket.is_socket = S_ISSOCK(status.st_mode);
  socket.mode = status.st_mode & 07777;
  socket.uid = status.st_uid;
  socket.group = group_name(status.st_gid);
  if (socket.is_socket) try_socket(socket);
  // Whoever may use the admin socket is another matter.
  if (options.as_uid && socket.is_socket && socket.kind != "admin")
    socket.reach = find_reach(socket.path, *options.as_uid);
}

SocketFacts from_broker(const Json& entry) {
  SocketFacts socket;
  socket.kind = entry.value("kind", "");
  socket.path = entry.value("path", "");
  socket.vm = entry.value("vm", "");
  socket.wanted_mode = static_cast<unsigned>(std::strtoul(entry.value("mode", "0").c_str(), nullptr, 8));
  socket.wanted_group = entry.value("group", "");
  if (entry.contains("owner")) socket.wanted_uid = entry.at("owner").get<uid_t>();
  return socket;
}

std::vector<SocketFacts> gather_sockets(const Said& said, const Options& options) {
  std::vector<SocketFacts> sockets;
  if (said.sockets.is_null()) return sockets;
  for (const auto& entry : said.sockets.at("sockets")) {
    sockets.push_back(from_broker(entry));
    look_at_socket(sockets.back(), options);
  }
  return sockets;
}

/// Whether a QEMU that is not connected is this VM's: by the way that its device takes, else by its user.
bool is_qemu_of(const QemuFacts& qemu, const Json& vm, const Json& sockets) {
  if (qemu.socket == vm.value("socket", "")) return true;
  const auto leads_here = [&](const Json& door) {
    return vm.contains("domid") && door.value("domid", Json()) == vm.at("domid") && door.at("path") == qemu.socket;
  };
  if (std::any_of(sockets.begin(), sockets.end(), leads_here)) return true;
  return vm.contains("uid") && vm.at("uid") == qemu.uid;
}

VmFacts gather_vm(const Json& entry, const std::vector<QemuFacts>& qemus, const Json& sockets) {
  VmFacts vm;
  vm.name = entry.value("vm", "");
  vm.socket = entry.value("socket", "");
  vm.link = entry.value("link", "");
  vm.quarantined = entry.value("quarantined", false);
  vm.stub = entry.value("/stub/pid"_json_pointer, 0);
  vm.is_stub_alive = vm.stub != 0 && is_alive(vm.stub);
  const auto qemu = std::find_if(qemus.begin(), qemus.end(), [&](const QemuFacts& one) {
    return vm.stub != 0 ? one.pid == vm.stub : is_qemu_of(one, entry, sockets);
  });
  if (qemu == qemus.end()) return vm;
  vm.qemu = *qemu;
  vm.reach = find_reach(qemu->socket, qemu->uid);
  return vm;
}

std::vector<VmFacts> gather_vms(const Said& said) {
  std::vector<VmFacts> vms;
  if (said.vms.is_null() || said.sockets.is_null()) return vms;
  const auto qemus = find_qemus();
  for (const auto& entry : said.vms.at("vms"))
    if (entry.value("kind", "") == "device") vms.push_back(gather_vm(entry, qemus, said.sockets.at("sockets")));
  return vms;
}

SystemFacts gather_system_of(const Facts& facts, const Options& options) {
  SystemQuestions questions{options.system_root, facts.driver, {}, geteuid(), std::time(nullptr)};
  if (!facts.broker.status.is_null()) {
    const auto& broker = facts.broker.status.at("broker");
    questions.worker = broker.value("worker", "");
    questions.broker_uid = broker.value("uid", uid_t{0});
  }
  return gather_system(questions);
}

}  // namespace

std::string admin_socket_of(const Options& options) {
  return options.socket.empty() ? load(options).config.admin_socket : options.socket;
}

Facts gather(const Options& options) {
  const auto loaded = load(options);
  Facts facts;
  facts.is_root = geteuid() == 0;
  facts.wanted_vm = options.vm;
  facts.config.path = options.config.empty() ? broker::kDefaultConfigPath : options.config;
  facts.config.exists = access(facts.config.path.c_str(), F_OK) == 0;
  facts.config.errors = loaded.errors;
  facts.broker.socket = main_socket_of(options, loaded.config);
  facts.broker.admin_socket = options.socket.empty() ? loaded.config.admin_socket : options.socket;
  const auto said = ask_broker(facts.broker);
  look_at_lock(facts.broker);
  facts.driver = said.settings.is_null()
                     ? loaded.config.driver
                     : said.settings.value("/settings/gpu/driver"_json_pointer, loaded.config.driver);
  facts.sockets = gather_sockets(said, options);
  facts.vms = gather_vms(said);
  facts.is_wanted_vm_known =
      std::any_of(facts.vms.begin(), facts.vms.end(), [&options](const VmFacts& vm) { return vm.name == options.vm; });
  facts.system = gather_system_of(facts, options);
  return facts;
}

}  // namespace vgpu::admin
