#include "common/base/private_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "common/base/unique_fd.hpp"

namespace vgpu::base {
namespace {

Error os_error(const std::string& what) {
  const int code = errno;
  return {code, what + ": " + std::generic_category().message(code)};
}

Result<void> check_owner(int file, const std::string& path, off_t most) {
  struct stat status {};
  if (fstat(file, &status) != 0) return os_error(path);
  if (!S_ISREG(status.st_mode) || status.st_uid != geteuid() || (status.st_mode & 022) != 0)
    return Error{EPERM, path + " is not a file that only this user can write; it is not believed"};
  if (status.st_size > most) return Error{EFBIG, path + " is too large: " + std::to_string(status.st_size) + " bytes"};
  return {};
}

}  // namespace

Result<std::optional<std::string>> read_private_file(const std::string& path, off_t most) {
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!file && errno == ENOENT) return std::optional<std::string>();
  if (!file) return os_error("cannot read " + path);
  if (auto owner = check_owner(file.get(), path, most); !owner) return owner.error();
  std::string text;
  char buffer[16384];
  for (ssize_t count; (count = ::read(file.get(), buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<std::size_t>(count));
  return std::optional<std::string>(std::move(text));
}

}  // namespace vgpu::base
