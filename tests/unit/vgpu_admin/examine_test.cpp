// Every finding of vgpu-admin doctor, made on purpose from made-up facts.
#include <catch2/catch.hpp>

#include <cerrno>

#include "broker/vgpu_admin/examine.hpp"

using namespace vgpu::admin;
using Catch::Contains;
using vgpu::base::exit_code_of;
using Outcome = Finding::Outcome;

namespace {

constexpr pid_t kBroker = 100, kQemu = 200;

SocketFacts healthy_socket(const std::string& kind, const std::string& path) {
  SocketFacts socket;
  socket.kind = kind;
  socket.path = path;
  socket.wanted_mode = socket.mode = 0660;
  socket.exists = socket.is_socket = true;
  socket.listener = kBroker;
  return socket;
}

VmFacts healthy_vm() {
  VmFacts vm;
  vm.name = "web";
  vm.socket = "/run/vgpu/vm-web.sock";
  vm.link = "up";
  vm.stub = kQemu;
  vm.is_stub_alive = true;
  vm.qemu = QemuFacts{kQemu, 65536, "/", "vgpu-stub,socket=/run/vgpu/vm-web.sock", "/run/vgpu/vm-web.sock", true};
  vm.reach = Reach{65536, true, {}, true};
  return vm;
}

/// A host on which all is well.
Facts healthy() {
  Facts facts;
  facts.config = {"/etc/vgpu/broker.toml", true, {}};
  facts.broker.socket = "/run/vgpu/mediator.sock";
  facts.broker.admin_socket = "/run/vgpu/mediator.sock.admin";
  facts.broker.lock_pid = facts.broker.holder = kBroker;
  facts.broker.is_lock_pid_alive = true;
  facts.broker.lock_program = "vgpu-broker";
  facts.broker.status = {{"ok", true},
                         {"broker", {{"pid", kBroker}, {"version", VGPU_VERSION}}},
                         {"clients", {{"count", 3}, {"stuck_workers", 0}}},
                         {"workers", {{"ended", Json::object()}}}};
  facts.broker.log = "/var/log/vgpu/broker.log";
  facts.driver = "nvidia";
  facts.sockets = {healthy_socket("main", "/run/vgpu/mediator.sock"), healthy_socket("vm", "/run/vgpu/vm-web.sock")};
  facts.vms = {healthy_vm()};
  facts.system.devices = {"/dev/nvidiactl", "/dev/nvidia0"};
  facts.system.driver_library = "/usr/lib/x86_64-linux-gnu/libcuda.so.1";
  return facts;
}

/// The finding that the doctor stops at; it must name a cause and a remedy.
Finding first_broken(const Facts& facts) {
  const auto findings = examine(facts);
  REQUIRE(findings.back().outcome == Outcome::broken);
  CHECK_FALSE(findings.back().cause.empty());
  CHECK_FALSE(findings.back().remedy.empty());
  CHECK(exit_code_of(findings) == 1);
  return findings.back();
}

void check_broken(const Facts& facts, const std::string& what, const std::string& text, const std::string& cause,
                  const std::string& remedy) {
  const auto finding = first_broken(facts);
  CHECK(finding.what == what);
  CHECK_THAT(finding.text, Contains(text));
  CHECK_THAT(finding.cause, Contains(cause));
  CHECK_THAT(finding.remedy, Contains(remedy));
}

std::string names_of(const Findings& findings) {
  std::string names;
  for (const auto& finding : findings) names += finding.what + " ";
  return names;
}

}  // namespace

TEST_CASE("a healthy host passes link by link") {
  const auto findings = examine(healthy());
  CHECK(names_of(findings) == "config broker socket socket vm denials driver workers logs ");
  CHECK(exit_code_of(findings) == 0);
  const auto json = to_json(findings);
  CHECK(json.at("good") == true);
  CHECK(json.at("findings").size() == findings.size());
  CHECK(json.at("findings").at(0).at("outcome") == "PASS");
}

TEST_CASE("the doctor stops at the first broken link") {
  auto facts = healthy();
  facts.sockets[0].mode = 0600;
  facts.system.devices.clear();
  CHECK(names_of(examine(facts)) == "config broker socket ");
}

TEST_CASE("a configuration with errors") {
  auto facts = healthy();
  facts.config.errors = {"/etc/vgpu/broker.toml:3: socket must be a string"};
  check_broken(facts, "config", "1 error", ":3: socket must be", "--check-config");
}

TEST_CASE("no configuration is none that is broken") {
  auto facts = healthy();
  facts.config.exists = false;
  CHECK_THAT(examine(facts).front().text, Contains("absent: defaults"));
}

TEST_CASE("a broker that is not there") {
  auto facts = healthy();
  facts.broker.status = {};
  facts.broker.ask_error = ENOENT;
  facts.broker.holder = 0;
  SECTION("never started") {
    facts.broker.lock_pid = 0;
    check_broken(facts, "broker", "not running", "no lock file", "systemctl start vgpu-broker");
  }
  SECTION("crashed") {
    facts.broker.is_lock_pid_alive = false;
    check_broken(facts, "broker", "not running", "pid 100", "takes them back");
  }
}

TEST_CASE("a broker that lives and does not answer") {
  auto facts = healthy();
  facts.broker.status = {};
  SECTION("it hangs") {
    facts.broker.ask_error = ETIMEDOUT;
    facts.broker.ask_text = "the broker does not answer";
    check_broken(facts, "broker", "pid 100 (vgpu-broker) serves", "does not answer", "kill -KILL 100");
  }
  SECTION("its admin socket is elsewhere, or gone") {
    facts.broker.ask_error = GENERATE(ENOENT, ECONNREFUSED);
    check_broken(facts, "broker", "gets no answer", "mediator.sock.admin", "--socket");
  }
  SECTION("we may not ask") {
    facts.broker.ask_error = EACCES;
    const auto findings = examine(facts);
    CHECK(findings[1].outcome == Outcome::skipped);
    CHECK_THAT(findings[1].text, Contains("admin_group"));
    CHECK(exit_code_of(findings) == 2);
  }
  SECTION("it refuses us") {
    facts.broker.refusal = "uid 7 may not administer this broker";
    CHECK(examine(facts)[1].outcome == Outcome::skipped);
  }
}

TEST_CASE("two brokers") {
  auto facts = healthy();
  facts.broker.holder = 101;
  check_broken(facts, "broker", "pid 100 answers, but pid 101 serves", "two brokers", "kill 100 or kill 101");
}

TEST_CASE("a broker of another installation") {
  auto facts = healthy();
  facts.broker.status["broker"]["version"] = "0.0.1";
  check_broken(facts, "broker", "version 0.0.1", "different installations", "USR2");
}

TEST_CASE("sockets that are not as they should be") {
  auto facts = healthy();
  auto& socket = facts.sockets[0];
  SECTION("gone") {
    socket.exists = false;
    check_broken(facts, "socket", "no such file", "removed", "USR2");
  }
  SECTION("a plain file") {
    socket.is_socket = false;
    check_broken(facts, "socket", "no socket", "in its place", "move /run/vgpu/mediator.sock away");
  }
  SECTION("stale") {
    socket.connect_error = ECONNREFUSED;
    check_broken(facts, "socket", "stale", "nobody listens", "USR2");
  }
  SECTION("somebody else's") {
    socket.listener = 77;
    check_broken(facts, "socket", "pid 77 listens", "another mediator", "kill 77");
  }
  SECTION("the service manager's is ours") {
    socket.listener = 1;
    CHECK(exit_code_of(examine(facts)) == 0);
  }
  SECTION("mode") {
    socket.mode = 0600;
    check_broken(facts, "socket", "mode 0600", "configured as 0660", "chmod 0660 /run/vgpu/mediator.sock");
  }
  SECTION("group") {
    socket.wanted_group = "kvm";
    socket.group = "root";
    check_broken(facts, "socket", "group root", "configured as kvm", "chgrp kvm");
  }
  SECTION("owner, of one in a chroot") {
    socket.wanted_uid = 65536;
    check_broken(facts, "socket", "owner 0", "uid 65536", "chown 65536");
  }
}

TEST_CASE("a user who does not reach a socket") {
  auto facts = healthy();
  facts.sockets[1].reach = Reach{1000, false, "/run/vgpu does not let it pass", true};
  check_broken(facts, "reach", "uid 1000 does not reach /run/vgpu/vm-web.sock (tried)", "does not let it pass",
               "socket_mode");
  facts.sockets[1].reach = Reach{1000, true, {}, false};
  CHECK_THAT(examine(facts)[4].text, Contains("uid 1000 reaches") && Contains("computed"));
}

TEST_CASE("VMs that are not linked") {
  auto facts = healthy();
  auto& vm = facts.vms[0];
  vm.link = "down";
  vm.stub = 0;
  SECTION("it is off, which is no fault unless it should be up") {
    vm.qemu.reset();
    CHECK(exit_code_of(examine(facts)) == 0);
    facts.wanted_vm = "web";
    facts.is_wanted_vm_known = true;
    check_broken(facts, "vm", "no process has a vgpu-stub", "not running",
                 "-device vgpu-stub,socket=/run/vgpu/vm-web.sock");
  }
  SECTION("the device was given another path") {
    vm.qemu->socket = "/run/vgpu/vm-wbe.sock";
    vm.qemu->socket_exists = false;
    check_broken(facts, "vm", "has the device, but no link", "vm-wbe.sock does not exist", "/run/vgpu/vm-web.sock");
  }
  SECTION("in a chroot whose socket belongs to somebody else") {
    vm.qemu->root = "/var/xen/qemu/root-1";
    vm.reach = Reach{65536, false, "it does not let it write", true};
    check_broken(facts, "vm", "chroot /var/xen/qemu/root-1", "uid 65536 cannot reach its socket", "socket_mode");
  }
  SECTION("all is there, and yet") { check_broken(facts, "vm", "no link", "revision 0x01", "lspci"); }
}

TEST_CASE("a VM in quarantine, one that nobody knows, and one whose QEMU is gone") {
  auto facts = healthy();
  SECTION("quarantine is no fault unless the VM should be up") {
    facts.vms[0].quarantined = true;
    CHECK(exit_code_of(examine(facts)) == 0);
    facts.wanted_vm = "web";
    facts.is_wanted_vm_known = true;
    check_broken(facts, "vm", "in quarantine", "operator", "vgpu-admin release web");
  }
  SECTION("unknown") {
    facts.wanted_vm = "wbe";
    check_broken(facts, "vm", "no VM wbe", "[vm.wbe]", "add it");
  }
  SECTION("gone, and its connection held open") {
    facts.vms[0].is_stub_alive = false;
    check_broken(facts, "vm", "its stub (pid 200) has ended", "holds the connection open", "kill");
  }
}

TEST_CASE("a stub of revision 2 is told from ours") {
  auto facts = healthy();
  CHECK_THAT(judge_vms(facts)[0].text, Contains("revision 2, with a window"));
  facts.vms[0].link = "legacy";
  CHECK_THAT(judge_vms(facts)[0].text, Contains("legacy requests only"));
}

TEST_CASE("refusals of SELinux and AppArmor") {
  auto facts = healthy();
  facts.system.confinement = "AppArmor";
  CHECK(judge_denials(facts)[0].outcome == Outcome::skipped);
  facts.system.denials_readable = true;
  CHECK(judge_denials(facts)[0].outcome == Outcome::good);
  facts.system.denials = {"audit(1): apparmor=\"DENIED\" name=\"/run/vgpu/vm-web.sock\""};
  check_broken(facts, "denials", "apparmor=\"DENIED\"", "AppArmor forbids it", "operations.md");
}

TEST_CASE("the driver") {
  auto facts = healthy();
  SECTION("no device") {
    facts.system.devices.clear();
    check_broken(facts, "driver", "no NVIDIA device files", "not loaded", "modprobe nvidia");
  }
  SECTION("no right to it") {
    facts.system.denied_devices = {"/dev/nvidia0"};
    check_broken(facts, "driver", "may not open /dev/nvidia0", "mode", "group");
  }
  SECTION("no library") {
    facts.system.driver_library.clear();
    check_broken(facts, "driver", "library is not found", "user space", "ldconfig");
  }
  SECTION("auto without a device is the software GPU") {
    facts.driver = "auto";
    facts.system.devices.clear();
    check_broken(facts, "driver", "software GPU is not found", "beside the worker", "install it there");
    facts.system.software_gpu = "/usr/libexec/vgpu/libvgpu-simcuda.so.1";
    CHECK_THAT(judge_driver(facts)[0].text, Contains("software GPU (driver = \"auto\")"));
  }
  SECTION("a library that was named") {
    facts.driver = "/opt/cuda.so";
    facts.system.driver_library.clear();
    check_broken(facts, "driver", "/opt/cuda.so does not exist", "driver of [gpu]", "correct it");
  }
}

TEST_CASE("workers that ended by the host's fault, and such as do not end") {
  auto facts = healthy();
  SECTION("a crash") {
    facts.broker.status["workers"]["last_failure"] = {{"worker", 300},
                                                      {"client", 7},
                                                      {"vm", "web"},
                                                      {"class", 7},
                                                      {"text", "killed by signal 11 (Segmentation fault)"},
                                                      {"seconds_ago", 12}};
    check_broken(facts, "workers", "worker 300 of client 7 (VM web) ended 12 s ago: killed by signal 11", "CUDA error",
                 "kernel log");
    facts.broker.status["workers"]["last_failure"]["class"] = 5;
    check_broken(facts, "workers", "worker 300", "CUDA error", "nvidia-smi");
    facts.broker.status["workers"]["last_failure"]["class"] = 2;
    check_broken(facts, "workers", "worker 300", "CUDA error", "install again");
    facts.broker.status["workers"]["last_failure"]["class"] = 6;
    check_broken(facts, "workers", "worker 300", "CUDA error", "broker's log");
    facts.broker.status["workers"]["last_failure"]["seconds_ago"] = 700;
    CHECK(exit_code_of(examine(facts)) == 0);
  }
  SECTION("stuck") {
    facts.broker.status["clients"]["stuck_workers"] = 1;
    check_broken(facts, "workers", "1 worker(s) do not die", "kernel", "/proc/PID/stack");
  }
}

TEST_CASE("the doctor says where the log is") {
  auto facts = healthy();
  CHECK_THAT(judge_logs(facts)[0].text, Contains("/var/log/vgpu/broker.log"));
  facts.broker.log.clear();
  facts.system.has_journal = true;
  CHECK_THAT(judge_logs(facts)[0].text, Contains("journalctl"));
}
