#include "common/base/replace_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <system_error>

#include "common/base/unique_fd.hpp"

namespace vgpu::base {
namespace {

Error os_error(const std::string& what) {
  const int code = errno;
  return {code, what + ": " + std::generic_category().message(code)};
}

Result<void> write_file(const std::string& path, const std::string& text, mode_t mode) {
  unlink(path.c_str());  // of one who died between writing and renaming
  const UniqueFd file(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
  if (!file) return os_error("cannot create " + path);
  for (std::size_t done = 0; done < text.size();) {
    const auto count = ::write(file.get(), text.data() + done, text.size() - done);
    if (count < 0) return os_error("cannot write " + path);
    done += static_cast<std::size_t>(count);
  }
  return {};
}

}  // namespace

Result<void> replace_file(const std::string& path, const std::string& text, mode_t mode) {
  const auto fresh = path + ".new";
  if (auto written = write_file(fresh, text, mode); !written) return written;
  if (rename(fresh.c_str(), path.c_str()) != 0) return os_error("cannot rename " + fresh);
  return {};
}

}  // namespace vgpu::base
