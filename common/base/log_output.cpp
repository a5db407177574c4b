#include "common/base/log_output.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <system_error>

namespace vgpu::log {
namespace {

/// systemd says which file its journal is: "DEVICE:INODE". A program may have been given another one since.
bool is_the_journal(int descriptor) {
  const char* stream = std::getenv("JOURNAL_STREAM");
  std::uintmax_t device = 0, inode = 0;
  struct stat status {};
  return stream != nullptr && std::sscanf(stream, "%" SCNuMAX ":%" SCNuMAX, &device, &inode) == 2 &&
         fstat(descriptor, &status) == 0 && status.st_dev == device && status.st_ino == inode;
}

int private_standard_error() {
  const int copy = fcntl(2, F_DUPFD_CLOEXEC, 10);
  return copy < 0 ? 2 : copy;
}

}  // namespace

Output Output::standard_error() {
  static const int kDescriptor = private_standard_error();
  Output output;
  output.descriptor_ = kDescriptor;
  output.is_journal_ = is_the_journal(kDescriptor);
  return output;
}

base::Result<Output> Output::file(const std::string& path) {
  Output output;
  // A pipe without a reader is an error rather than a wait; a symbolic link in /tmp may be anybody's.
  constexpr int kFlags = O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC;
  output.file_ = base::UniqueFd(open(path.c_str(), kFlags, 0640));
  struct stat status {};
  if (!output.file_ || fstat(output.file_.get(), &status) != 0)
    return base::Error{errno, "cannot write the log to " + path + ": " + std::generic_category().message(errno) +
                                  "; make its folder, or name another file (log_file)"};
  output.descriptor_ = output.file_.get();
  output.path_ = path;
  output.device_ = status.st_dev;
  output.inode_ = status.st_ino;
  return output;
}

bool Output::has_its_name() const {
  struct stat status {};
  return lstat(path_.c_str(), &status) == 0 && status.st_dev == device_ && status.st_ino == inode_;
}

void Output::follow_name() {
  if (path_.empty() || has_its_name()) return;
  // Where that fails, the old file is better than none.
  if (auto next = file(path_)) *this = std::move(*next);
}

bool Output::has_room() const {
  pollfd entry{descriptor_, POLLOUT, 0};
  return poll(&entry, 1, 0) == 1 && (entry.revents & POLLOUT) != 0;
}

bool Output::write(std::string_view line) { return ::write(descriptor_, line.data(), line.size()) >= 0; }

}  // namespace vgpu::log
