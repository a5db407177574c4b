#include "broker/vm/shared_memory.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <system_error>

namespace vgpu::broker::vm {
namespace {

using base::Error;
using base::UniqueFd;

// Linux 6.3: memory that nobody can execute. Not in the headers of Debian 12.
constexpr unsigned kNoExecSeal = 0x8;
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

Error os_error(const char* what) {
  const int code = errno;
  return {code, std::string("cannot create a window: ") + what + ": " + std::generic_category().message(code)};
}

UniqueFd create_memory() {
  UniqueFd memory(memfd_create("vgpu-window", MFD_CLOEXEC | MFD_ALLOW_SEALING | kNoExecSeal));
  if (memory || errno != EINVAL) return memory;
  return UniqueFd(memfd_create("vgpu-window", MFD_CLOEXEC | MFD_ALLOW_SEALING));
}

}  // namespace

base::Result<UniqueFd> create_shared_memory(std::uint64_t size) {
  auto memory = create_memory();
  if (!memory) return os_error("memfd_create");
  if (ftruncate(memory.get(), static_cast<off_t>(size)) != 0) return os_error("setting its size");
  if (fcntl(memory.get(), F_ADD_SEALS, kSeals) != 0) return os_error("sealing");
  return memory;
}

base::Result<void> check_shared_memory(int descriptor, std::uint64_t size) {
  struct stat status {};
  const int seals = fcntl(descriptor, F_GET_SEALS);
  if (fstat(descriptor, &status) == 0 && seals >= 0 && (seals & kSeals) == kSeals &&
      static_cast<std::uint64_t>(status.st_size) == size)
    return {};
  return Error{EINVAL, "it is not sealed memory of " + std::to_string(size) + " bytes"};
}

ino_t inode_of(int descriptor) {
  struct stat status {};
  return fstat(descriptor, &status) == 0 ? status.st_ino : 0;
}

}  // namespace vgpu::broker::vm
