#include "broker/vgpu_admin/examine.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "common/control/exit_class.hpp"

namespace vgpu::admin {
namespace {

using base::broken;
using base::good;
using base::skipped;
using Outcome = Finding::Outcome;

constexpr const char* kLookAtLog = "journalctl -u vgpu-broker, or the file that its standard error goes to";
// systemctl's own words differ between hosts with and without it.
constexpr const char* kRelaunch =
    "have the broker make it anew (programs go on): systemctl kill --kill-whom=main -s USR2 "
    "vgpu-broker, or kill -USR2 and its pid";

std::string octal(unsigned mode) { return fmt::format("{:04o}", mode); }

// ---- broker -----------------------------------------------------------------------------------------------------

Finding nobody_serves(const BrokerFacts& broker) {
  if (broker.lock_pid == 0)
    return broken("broker", "not running", "no lock file beside " + broker.socket,
                  "systemctl start vgpu-broker; if it does not stay: " + std::string(kLookAtLog));
  return broken("broker", "not running",
                fmt::format("pid {} of {}.lock has ended without tidying up: it crashed or was killed", broker.lock_pid,
                            broker.socket),
                "systemctl start vgpu-broker: programs that compute go on meanwhile, and it takes them back; the log "
                "says how it ended: " +
                    std::string(kLookAtLog));
}

Finding does_not_answer(const BrokerFacts& broker) {
  const auto seen = fmt::format("pid {} ({}) serves {}, but vgpu-admin gets no answer", broker.holder,
                                broker.lock_program, broker.socket);
  if (broker.ask_error == EACCES)
    return skipped("broker", seen + ": permission denied; be root, the broker's user, or a member of admin_group");
  if (broker.ask_error == ENOENT || broker.ask_error == ECONNREFUSED)
    return broken("broker", seen, "its admin socket is not at " + broker.admin_socket,
                  "name it with --socket (admin_socket of its configuration); if its file was removed: " +
                      std::string(kRelaunch));
  return broken("broker", seen, broker.ask_text,
                fmt::format("look at /proc/{}/stack and its log; then kill -KILL {} and start it again: programs go on",
                            broker.holder, broker.holder));
}

Finding answers(const BrokerFacts& broker) {
  const auto& says = broker.status.at("broker");
  const pid_t pid = says.value("pid", 0);
  if (broker.holder != 0 && broker.holder != pid)
    return broken("broker", fmt::format("pid {} answers, but pid {} serves {}", pid, broker.holder, broker.socket),
                  "two brokers run, with different sockets",
                  fmt::format("stop the one that is not wanted: kill {} or kill {}", pid, broker.holder));
  const auto text = fmt::format("pid {}, version {}, {} client(s)", pid, says.value("version", ""),
                                broker.status.at("clients").value("count", 0));
  if (says.value("version", "") != VGPU_VERSION)
    return broken("broker", text,
                  "vgpu-admin has version " VGPU_VERSION ": broker and programs are of different installations",
                  std::string("install one of them again, then ") + kRelaunch);
  return good("broker", text);
}

// ---- sockets ----------------------------------------------------------------------------------------------------

std::string name_of(const SocketFacts& socket) {
  return socket.vm.empty() ? socket.kind + " " + socket.path : socket.kind + " " + socket.path + " of VM " + socket.vm;
}

std::optional<Finding> look_at_file(const SocketFacts& socket) {
  if (!socket.exists)
    return broken("socket", name_of(socket) + ": there is no such file", "it was removed while the broker runs",
                  kRelaunch);
  if (!socket.is_socket)
    return broken("socket", name_of(socket) + ": this is no socket", "something else was put in its place",
                  "move " + socket.path + " away, then " + kRelaunch);
  return std::nullopt;
}

std::optional<Finding> look_at_listener(const SocketFacts& socket, pid_t broker) {
  if (socket.connect_error == ECONNREFUSED)
    return broken("socket", name_of(socket) + ": stale", "nobody listens there: a broker that has ended left the file",
                  "rm " + socket.path + ", then " + kRelaunch);
  // A socket that the service manager made belongs to pid 1.
  if (socket.listener > 1 && broker != 0 && socket.listener != broker)
    return broken("socket", name_of(socket) + fmt::format(": pid {} listens there, not the broker", socket.listener),
                  "another mediator serves this path",
                  fmt::format("end it (kill {}; the old system's units are named mediator_*), then {}", socket.listener,
                              kRelaunch));
  return std::nullopt;
}

std::optional<Finding> look_at_access(const SocketFacts& socket) {
  if (socket.mode != socket.wanted_mode)
    return broken("socket", name_of(socket) + ": mode " + octal(socket.mode),
                  "it is configured as " + octal(socket.wanted_mode) + "; somebody has changed it",
                  "chmod " + octal(socket.wanted_mode) + " " + socket.path);
  if (!socket.wanted_group.empty() && socket.group != socket.wanted_group)
    return broken("socket", name_of(socket) + ": group " + socket.group,
                  "it is configured as " + socket.wanted_group + "; somebody has changed it",
                  "chgrp " + socket.wanted_group + " " + socket.path);
  if (socket.wanted_uid && socket.uid != *socket.wanted_uid)
    return broken("socket", name_of(socket) + fmt::format(": owner {}", socket.uid),
                  fmt::format("the QEMU in this root runs as uid {} and cannot use it", *socket.wanted_uid),
                  fmt::format("chown {} {}", *socket.wanted_uid, socket.path));
  return std::nullopt;
}

Finding judge_socket(const SocketFacts& socket, pid_t broker) {
  for (const auto& found : {look_at_file(socket), look_at_listener(socket, broker), look_at_access(socket)})
    if (found) return *found;
  return good("socket",
              name_of(socket) + " (mode " + octal(socket.mode) + ", owner " + std::to_string(socket.uid) + ")");
}

// ---- VMs --------------------------------------------------------------------------------------------------------

Finding has_no_qemu(const VmFacts& vm, bool is_wanted) {
  const auto text = "VM " + vm.name + ": no process has a vgpu-stub that leads to " + vm.socket;
  if (!is_wanted) return good("vm", text + " (it is off, or has no device)");
  return broken("vm", text, "the VM is not running, or was started without the device or with another path",
                "start it with -device vgpu-stub,socket=" + vm.socket + ",... and see that QEMU does not end at once");
}

std::string describe(const QemuFacts& qemu) {
  return fmt::format("pid {}, uid {}{}", qemu.pid, qemu.uid, qemu.root == "/" ? "" : ", chroot " + qemu.root);
}

Finding is_not_linked(const VmFacts& vm) {
  const auto& qemu = *vm.qemu;
  const auto text = fmt::format("VM {}: its QEMU ({}) has the device, but no link", vm.name, describe(qemu));
  if (!qemu.socket_exists)
    return broken("vm", text, "the device's path " + qemu.socket + " does not exist on the host",
                  "make [vm." + vm.name + "] socket that path, or give the device the path " + vm.socket);
  if (vm.reach && !vm.reach->can)
    return broken("vm", text, fmt::format("uid {} cannot reach its socket: {}", qemu.uid, vm.reach->obstacle),
                  "set socket_mode and socket_group of [vm." + vm.name +
                      "] so that QEMU's user may write to it, then " + kRelaunch);
  return broken(
      "vm", text,
      "the device is of revision 0x01, which never connects, or the broker refuses it, or SELinux or AppArmor do",
      "the broker's log names refusals (" + std::string(kLookAtLog) +
          "); in the guest lspci shows the revision: replace a device of revision 01");
}

std::string revision_of(const VmFacts& vm) {
  return vm.link == "legacy" ? "revision 2 of the field, legacy requests only" : "revision 2, with a window";
}

Finding judge_vm(const VmFacts& vm, bool is_wanted) {
  if (vm.quarantined)
    return is_wanted ? broken("vm", "VM " + vm.name + ": in quarantine", "an operator has put it there",
                              "vgpu-admin release " + vm.name)
                     : good("vm", "VM " + vm.name + ": in quarantine");
  if (vm.stub != 0 && !vm.is_stub_alive)
    return broken("vm",
                  fmt::format("VM {}: its stub (pid {}) has ended, and the broker has not noticed", vm.name, vm.stub),
                  "a child of it holds the connection open",
                  fmt::format("end what QEMU has left behind: ls -l /proc/*/fd | grep -B9 socket, then kill"));
  if (vm.link == "up" || vm.link == "legacy") {
    const auto who = vm.qemu ? describe(*vm.qemu) : fmt::format("pid {}", vm.stub);
    return good("vm", "VM " + vm.name + ": link up, " + who + ", " + revision_of(vm));
  }
  return vm.qemu ? is_not_linked(vm) : has_no_qemu(vm, is_wanted);
}

// ---- driver -----------------------------------------------------------------------------------------------------

Finding judge_nvidia(const SystemFacts& system) {
  if (system.devices.empty())
    return broken(
        "driver", "no NVIDIA device files", "the NVIDIA driver is not loaded, or this host has no GPU",
        "install and load the driver (modprobe nvidia; nvidia-smi shows the GPU), or set driver = \"sim\" to try "
        "without one");
  if (!system.denied_devices.empty())
    return broken("driver", "the broker's user may not open " + system.denied_devices.front(),
                  "owner, group or mode of the device file",
                  "add the user to the device's group, or run the broker as root");
  if (system.driver_library.empty())
    return broken("driver", "the driver's library is not found", "the driver's user space is not installed",
                  "install it (libcuda1, or the vendor's .run), then ldconfig");
  return good("driver", system.driver_library + ", " + std::to_string(system.devices.size()) + " device file(s)");
}

std::string remedy_for(control::ExitClass kind) {
  using enum control::ExitClass;
  if (kind == no_driver) return "nvidia-smi on the host; driver of [gpu]; the worker's own line in the broker's log";
  if (kind == usage) return "broker and worker are of different installations: install again, then relaunch the broker";
  if (kind == killed_by_signal)
    return "the kernel log tells of a crash (segfault) or of memory that ran out (oom); else an operator did it";
  return "the worker's own line in the broker's log says what failed";
}

}  // namespace

Findings judge_configuration(const Facts& facts) {
  const auto& config = facts.config;
  if (!config.errors.empty())
    return {broken("config", config.path + ": " + std::to_string(config.errors.size()) + " error(s)",
                   config.errors.front(), "correct it; vgpu-broker --check-config names them all")};
  return {good("config", config.exists ? config.path : config.path + " is absent: defaults")};
}

Findings judge_broker(const Facts& facts) {
  const auto& broker = facts.broker;
  if (!broker.refusal.empty()) return {skipped("broker", broker.refusal)};
  if (!broker.status.is_null()) return {answers(broker)};
  return {broker.holder == 0 ? nobody_serves(broker) : does_not_answer(broker)};
}

Findings judge_sockets(const Facts& facts) {
  Findings findings;
  const auto broker = facts.broker.status.is_null() ? 0 : facts.broker.status.at("broker").value("pid", 0);
  for (const auto& socket : facts.sockets) findings.push_back(judge_socket(socket, broker));
  return findings;
}

Findings judge_reach(const Facts& facts) {
  Findings findings;
  for (const auto& socket : facts.sockets) {
    if (!socket.reach) continue;
    const auto& reach = *socket.reach;
    const auto text = fmt::format("uid {} {} {} ({})", reach.uid, reach.can ? "reaches" : "does not reach", socket.path,
                                  reach.is_tried ? "tried" : "computed from owners and modes");
    findings.push_back(reach.can ? good("reach", text)
                                 : broken("reach", text, reach.obstacle,
                                          "socket_mode and socket_group of the configuration, or that user's groups"));
  }
  return findings;
}

Findings judge_vms(const Facts& facts) {
  if (!facts.wanted_vm.empty() && !facts.is_wanted_vm_known)
    return {broken("vm", "there is no VM " + facts.wanted_vm,
                   "the broker's configuration has no [vm." + facts.wanted_vm + "]",
                   std::string("add it, then ") + kRelaunch)};
  if (facts.broker.status.is_null()) return {skipped("vm", "only the broker knows their links")};
  Findings findings;
  for (const auto& vm : facts.vms)
    if (facts.wanted_vm.empty() || vm.name == facts.wanted_vm)
      findings.push_back(judge_vm(vm, !facts.wanted_vm.empty()));
  return findings;
}

Findings judge_denials(const Facts& facts) {
  const auto& system = facts.system;
  if (!system.denials.empty())
    return {broken("denials",
                   fmt::format("{} in the last 15 minutes, the last: {}", system.denials.size(), system.denials.back()),
                   (system.confinement.empty() ? "a security module" : system.confinement) + " forbids it",
                   "docs/operations.md, \"The device, with libvirt\", has the rules; audit2why and aa-status explain")};
  if (system.confinement.empty()) return {good("denials", "neither SELinux nor AppArmor is enforced")};
  if (!system.denials_readable)
    return {skipped("denials", system.confinement + " is active; only root can read its refusals")};
  return {good("denials", system.confinement + " has refused nothing lately")};
}

Findings judge_driver(const Facts& facts) {
  const auto& system = facts.system;
  const bool is_software = facts.driver == "sim" || (facts.driver == "auto" && system.devices.empty());
  if (is_software && facts.broker.status.is_null())
    return {skipped("driver", "the software GPU: only the broker knows where its workers are")};
  if (is_software && system.software_gpu.empty())
    return {broken("driver", "the software GPU is not found", "libvgpu-simcuda.so.1 does not lie beside the worker",
                   "install it there, or set driver = \"nvidia\"")};
  if (is_software) return {good("driver", "software GPU (driver = \"" + facts.driver + "\"): " + system.software_gpu)};
  if (facts.driver == "nvidia" || facts.driver == "auto") return {judge_nvidia(system)};
  if (system.driver_library.empty())
    return {broken("driver", facts.driver + " does not exist", "driver of [gpu] names it",
                   "correct it, then relaunch the broker")};
  return {good("driver", facts.driver)};
}

Findings judge_workers(const Facts& facts) {
  const auto& status = facts.broker.status;
  if (status.is_null()) return {skipped("workers", "only the broker knows them")};
  if (const auto stuck = status.value("/clients/stuck_workers"_json_pointer, 0); stuck != 0)
    return {broken(
        "workers", fmt::format("{} worker(s) do not die", stuck), "the kernel holds them, mostly in the GPU's driver",
        "vgpu-admin list workers names them; /proc/PID/stack and the kernel log (Xid) tell why; their memory is "
        "free when they end, at the latest with a reboot")};
  const auto failure = status.value("/workers/last_failure"_json_pointer, Json());
  constexpr int kRecent = 600;
  if (!failure.is_object() || failure.value("seconds_ago", kRecent) >= kRecent)
    return {good("workers", fmt::format("{} client(s), none has lost its worker by the host's fault lately",
                                        status.value("/clients/count"_json_pointer, 0)))};
  const auto text = fmt::format("worker {} of client {} (VM {}) ended {} s ago: {}", failure.value("worker", 0),
                                failure.value("client", 0), failure.value("vm", ""), failure.value("seconds_ago", 0),
                                failure.value("text", ""));
  return {broken("workers", text, "its program got a CUDA error on every call since",
                 remedy_for(static_cast<control::ExitClass>(failure.value("class", 0u))))};
}

Findings judge_logs(const Facts& facts) {
  const auto& log = facts.broker.log;
  if (!log.empty()) return {good("logs", "broker and workers: " + log)};
  return {good("logs", facts.system.has_journal ? "journalctl -u vgpu-broker" : "the broker's standard error")};
}

Findings examine(const Facts& facts) {
  static constexpr Findings (*kSteps[])(const Facts&) = {judge_configuration, judge_broker,  judge_sockets,
                                                         judge_reach,         judge_vms,     judge_denials,
                                                         judge_driver,        judge_workers, judge_logs};
  Findings all;
  for (const auto step : kSteps) {
    for (auto& finding : step(facts)) {
      all.push_back(std::move(finding));
      if (all.back().outcome == Outcome::broken) return all;
    }
  }
  return all;
}

Json to_json(const Findings& findings) {
  Json list = Json::array();
  for (const auto& finding : findings) {
    Json entry = {{"what", finding.what}, {"outcome", base::word_of(finding.outcome)}, {"text", finding.text}};
    if (!finding.cause.empty()) entry["cause"] = finding.cause;
    if (!finding.remedy.empty()) entry["remedy"] = finding.remedy;
    list.push_back(std::move(entry));
  }
  return {{"good", base::exit_code_of(findings) == base::kAllGood}, {"findings", std::move(list)}};
}

}  // namespace vgpu::admin
