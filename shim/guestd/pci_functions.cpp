#include "shim/guestd/pci_functions.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <system_error>

#include "common/abi/device_registers.h"
#include "common/base/unique_fd.hpp"

namespace vgpu::guestd {
namespace {

std::string read_file(const std::string& path) {
  const base::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  char text[128];
  const ssize_t count = file ? ::read(file.get(), text, sizeof text) : -1;
  return {text, count > 0 ? static_cast<size_t>(count) : 0};
}

/// Where a link leads to, without the folders.
std::string target_name(const std::string& path) {
  char target[256];
  const ssize_t count = ::readlink(path.c_str(), target, sizeof target);
  const std::string whole(target, count > 0 ? static_cast<size_t>(count) : 0);
  return whole.substr(whole.rfind('/') + 1);
}

uint32_t read_number(const std::string& path) {
  return static_cast<uint32_t>(std::strtoul(read_file(path).c_str(), nullptr, 16));
}

uint64_t size_of(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 ? static_cast<uint64_t>(status.st_size) : 0;
}

PciFunction describe(const std::string& root, const std::string& address) {
  PciFunction function;
  function.address = address;
  function.folder = root + "/" + address;
  function.vendor = read_number(function.folder + "/vendor");
  function.device = read_number(function.folder + "/device");
  function.device_class = read_number(function.folder + "/class") >> 8;
  function.revision = read_number(function.folder + "/revision");
  function.bar0_size = size_of(function.resource(0));
  function.bar1_size = size_of(function.resource(1));
  function.driver = target_name(function.folder + "/driver");
  return function;
}

/// The class is the field's; a device whose class was changed is still told from a real GPU of the same number, whose
/// registers take far more than a megabyte.
bool is_candidate(const PciFunction& function) {
  return function.device_class == VGPU_PCI_CLASS ||
         (function.vendor == VGPU_PCI_VENDOR && function.device == VGPU_PCI_DEVICE &&
          function.bar0_size <= VGPU_BAR0_SIZE);
}

std::vector<std::string> addresses_in(const std::string& root) {
  std::vector<std::string> names;
  DIR* folder = ::opendir(root.c_str());
  if (folder == nullptr) return names;
  while (const dirent* entry = ::readdir(folder))
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  ::closedir(folder);
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

base::Result<PciFunction> find_function(const std::string& root, const std::string& address) {
  if (address.find('/') != std::string::npos || size_of(root + "/" + address + "/vendor") == 0)
    return base::Error{ENODEV,
                       "there is no PCI function " + address + " (lspci -D lists them; the form is 0000:00:05.0)"};
  return describe(root, address);
}

std::vector<PciFunction> find_candidates(const std::string& root) {
  std::vector<PciFunction> found;
  for (const std::string& address : addresses_in(root))
    if (auto function = describe(root, address); is_candidate(function)) found.push_back(std::move(function));
  return found;
}

bool is_enabled(const PciFunction& function) {
  return std::strtol(read_file(function.folder + "/enable").c_str(), nullptr, 10) > 0;
}

std::string unbind_command(const PciFunction& function) {
  return "echo " + function.address + " >" + function.folder + "/driver/unbind";
}

base::Result<void> enable(const PciFunction& function) {
  if (is_enabled(function)) return {};  // the file counts: one more each time
  const std::string path = function.folder + "/enable";
  const base::UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file || ::write(file.get(), "1", 1) != 1)
    return base::Error{errno, "cannot enable " + function.address + " (" + path +
                                  "): " + std::generic_category().message(errno) + "; root is needed"};
  return {};
}

}  // namespace vgpu::guestd
