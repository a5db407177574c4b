// Where vgpu-admin's facts come from: command lines, lock files, modes of folders, kernel logs.
#include <catch2/catch.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "broker/vgpu_admin/processes.hpp"
#include "broker/vgpu_admin/reach.hpp"
#include "broker/vgpu_admin/system_facts.hpp"
#include "broker/vgpu_admin/tables.hpp"
#include "common/base/unique_fd.hpp"

using namespace vgpu::admin;
using Catch::Contains;
namespace fs = std::filesystem;

namespace {

struct Folder {
  Folder() { REQUIRE(mkdtemp(path) != nullptr); }
  ~Folder() { fs::remove_all(path); }
  std::string operator/(const std::string& name) const { return std::string(path) + "/" + name; }
  void write(const std::string& name, const std::string& text) const {
    fs::create_directories(fs::path(*this / name).parent_path());
    std::ofstream(*this / name) << text;
  }
  char path[24] = "/tmp/vgpu-facts-XXXXXX";
};

}  // namespace

TEST_CASE("the device is found on a command line, and where it connects") {
  using namespace std::string_literals;
  const auto found = find_device("qemu\0-m\0001G\0-device\0vgpu-stub,vm_id=1,socket=/run/s\0-device\0vga\0"s);
  REQUIRE(found);
  CHECK(found->socket == "/run/s");
  CHECK(find_device("qemu\0-device\0vgpu-stub\0"s)->socket == "/tmp/vgpu-mediator.sock");
  CHECK_FALSE(find_device("qemu\0-device\0vga\0"s));
  CHECK_FALSE(find_device("grep\0vgpu-stub,socket=/run/s\0"s));
  CHECK_FALSE(find_device(""));
  // What a QEMU that was taken over says of itself goes to a terminal.
  CHECK(find_device("qemu\0-device\0vgpu-stub,socket=/\x1b[2J\xff\0"s)->socket == "/?[2J?");
}

TEST_CASE("who holds a lock is the kernel's word") {
  const Folder folder;
  const auto path = folder / "s.lock";
  CHECK(lock_holder(path) == 0);
  const vgpu::base::UniqueFd lock(open(path.c_str(), O_RDWR | O_CREAT, 0600));
  CHECK(lock_holder(path) == 0);
  REQUIRE(flock(lock.get(), LOCK_EX) == 0);
  CHECK(lock_holder(path) == getpid());
}

TEST_CASE("a way is computed from owners, groups and modes") {
  const Folder folder;
  fs::create_directory(folder / "a");
  folder.write("a/s", "");
  chmod(folder.path, 0711);
  chmod((folder / "a").c_str(), 0710);
  chmod((folder / "a/s").c_str(), 0660);
  const auto own_group = getegid();
  CHECK(compute_reach(folder / "a/s", geteuid(), {own_group}).can);
  CHECK(compute_reach(folder / "a/s", 4242, {4242, own_group}).can);
  const auto stranger = compute_reach(folder / "a/s", 4242, {4242});
  CHECK_FALSE(stranger.can);
  CHECK_THAT(stranger.obstacle, Contains("/a does not let it pass") && Contains("mode 0710"));
  chmod((folder / "a/s").c_str(), 0640);
  CHECK_THAT(compute_reach(folder / "a/s", 4242, {own_group}).obstacle, Contains("/a/s does not let it write"));
  CHECK_THAT(compute_reach(folder / "b/s", 4242, {own_group}).obstacle, Contains("No such file"));
  // The owner's class decides for the owner, even where others may more.
  chmod((folder / "a/s").c_str(), 0066);
  if (geteuid() != 0) CHECK_FALSE(compute_reach(folder / "a/s", geteuid(), {own_group}).can);
}

TEST_CASE("root really tries a way as another user") {
  if (geteuid() != 0) return;
  const Folder folder;
  folder.write("s", "");
  chmod(folder.path, 0755);
  chmod((folder / "s").c_str(), 0602);
  CHECK(find_reach(folder / "s", 4242).can);
  CHECK(find_reach(folder / "s", 4242).is_tried);
  chmod((folder / "s").c_str(), 0600);
  const auto reach = find_reach(folder / "s", 4242);
  CHECK_FALSE(reach.can);
  CHECK(reach.is_tried);
  CHECK_THAT(reach.obstacle, Contains("does not let it write"));
  CHECK(geteuid() == 0);
}

TEST_CASE("refusals in kernel logs: ours, and recent") {
  const std::string ours =
      "audit(1000.5:7): apparmor=\"DENIED\" operation=\"connect\" profile=\"libvirt\" name=\"/run/vgpu/vm.sock\"";
  const std::string selinux = "audit(1001.5:8): avc:  denied  { connectto } for comm=\"qemu-kvm\"";
  const auto log =
      "4,1,2,-;" + ours + "\ntype=1400 " + ours + "\ntype=AVC msg=" + selinux +
      "\naudit(1002.0:9): apparmor=\"DENIED\" comm=\"cupsd\"\naudit(1003.0:9): apparmor=\"ALLOWED\" comm=\"qemu\"\n";
  CHECK(find_denials(log, 1100) == std::vector<std::string>{ours, selinux});
  CHECK(find_denials(log, 1901) == std::vector<std::string>{selinux});
  CHECK(find_denials(log, 9000).empty());
  CHECK(find_denials("", 0).empty());
}

TEST_CASE("the system is looked at below a folder of the caller's choice") {
  const Folder folder;
  folder.write("sys/module/apparmor/parameters/enabled", "Y\n");
  folder.write("var/log/kern.log", "Nov 1 kernel: audit(1000.5:7): apparmor=\"DENIED\" comm=\"qemu\"\n");
  folder.write("dev/nvidiactl", "");
  folder.write("dev/nvidia0", "");
  folder.write("usr/lib64/libcuda.so.1", "");
  chmod(folder.path, 0755);
  chmod((folder / "dev/nvidiactl").c_str(), 0666);
  chmod((folder / "dev/nvidia0").c_str(), 0600);
  const auto facts = gather_system({folder.path, "nvidia", "/nowhere/vgpu-worker", 4242, 1100});
  CHECK(facts.confinement == "AppArmor");
  CHECK(facts.denials.size() == 1);
  CHECK(facts.devices.size() == 2);
  CHECK(facts.denied_devices == std::vector<std::string>{folder / "dev/nvidia0"});
  CHECK(facts.driver_library == folder / "usr/lib64/libcuda.so.1");
  CHECK(facts.software_gpu.empty());
}

TEST_CASE("tables have a heading, and a dash for what is not known") {
  const Json vms = {{{"vm", "web"}, {"link", "up"}, {"clients", 2}, {"processed", {{"total", 7}}}},
                    {{"vm", "uid-7"}, {"kind", "user"}, {"quarantined", true}}};
  const auto text = list_text("vms", vms);
  CHECK_THAT(text, Catch::StartsWith("VM     STATE       CLIENTS  PROCESSED"));
  CHECK_THAT(text, Contains("\nweb    up          2        7"));
  CHECK_THAT(text, Contains("\nuid-7  QUARANTINE  -"));
}
