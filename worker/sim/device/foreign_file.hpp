// Files in memory as the driver's handles name them to other processes: by process and descriptor. Whoever may look at
// the process (the same user) may open them.
#pragma once

#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>

namespace vgpu::sim::device {

struct ForeignFile {
  static constexpr std::uint64_t kMagic = 0x6c69662d6d697376;
  std::uint64_t magic = 0;
  pid_t process = 0;
  int descriptor = -1;

  static ForeignFile of(int descriptor) { return {kMagic, ::getpid(), descriptor}; }
  bool is_ours() const { return process == ::getpid(); }
  /// A descriptor of this process; -1 if the other one is gone, or there never was one.
  int open() const {
    if (magic != kMagic) return -1;
    char path[64];
    std::snprintf(path, sizeof path, "/proc/%d/fd/%d", static_cast<int>(process), descriptor);
    return ::open(path, O_RDWR | O_CLOEXEC);
  }
};

}  // namespace vgpu::sim::device
