#include "worker/console.hpp"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>

#include "worker/objects/limits.hpp"

namespace vgpu::worker {
namespace {

constexpr size_t kFrameHeader = 4;
constexpr size_t kLargestFrame = 4096;

// A sanitizer reports on standard error: it must reach the log.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int kLastCaptured = 1;
#else
constexpr int kLastCaptured = 2;
#endif

}  // namespace

base::Result<void> Console::capture_standard_streams() {
  for (int fd = 1; fd <= kLastCaptured; ++fd) {
    base::UniqueFd file(::memfd_create(fd == 1 ? "vgpu-stdout" : "vgpu-stderr", MFD_CLOEXEC));
    // O_APPEND has no place here: the offset is shared with the descriptor that the driver writes to, and only it
    // writes.
    if (!file || ::dup2(file.get(), fd) < 0)
      return base::Error{errno, fmt::format("cannot capture standard stream {}: {}", fd, std::strerror(errno))};
    streams_[fd - 1].file = std::move(file);
  }
  return {};
}

bool Console::publish(Stream& stream) {
  const bool published = copy_to_guest(stream);
  struct stat status {};
  // Read or not, more is not kept: the driver's own buffer drops what nobody takes, too.
  if (stream.file && ::fstat(stream.file.get(), &status) == 0 &&
      static_cast<uint64_t>(status.st_size) > kMostUnreadText && ::ftruncate(stream.file.get(), 0) == 0) {
    ::lseek(stream.file.get(), 0, SEEK_SET);
    stream.published = 0;
  }
  return published;
}

bool Console::copy_to_guest(Stream& stream) {
  if (!stream.file) return false;
  struct stat status {};
  if (::fstat(stream.file.get(), &status) != 0) return false;
  const auto printed = static_cast<uint64_t>(status.st_size);
  bool published = false;
  while (stream.published < printed) {
    const uint32_t taken = window_->word32(offsetof(vgpu_control, console_head)).load(std::memory_order_acquire);
    const uint32_t used = tail_ - taken;
    if (used > VGPU_CONSOLE_SIZE) return published;  // nonsense from the guest: it gets no more text
    const size_t room = VGPU_CONSOLE_SIZE - used;
    if (room <= kFrameHeader) return published;
    uint8_t frame[kFrameHeader + kLargestFrame];
    const size_t want = std::min<uint64_t>({printed - stream.published, kLargestFrame, room - kFrameHeader});
    const ssize_t got = ::pread(stream.file.get(), frame + kFrameHeader, want, static_cast<off_t>(stream.published));
    if (got <= 0) return published;
    const uint32_t head = static_cast<uint32_t>(got) | stream.mark;
    std::memcpy(frame, &head, sizeof head);
    const size_t total = kFrameHeader + static_cast<size_t>(got);
    const uint32_t at = tail_ % VGPU_CONSOLE_SIZE;
    const size_t first = std::min<size_t>(total, VGPU_CONSOLE_SIZE - at);
    window_->copy_in(VGPU_CONSOLE_OFFSET + at, {frame, first});
    window_->copy_in(VGPU_CONSOLE_OFFSET, {frame + first, total - first});
    tail_ += static_cast<uint32_t>(total);
    stream.published += static_cast<uint64_t>(got);
    published = true;
  }
  return published;
}

void Console::collect() {
  std::fflush(stdout);
  std::fflush(stderr);
  const bool out = publish(streams_[0]);
  const bool err = publish(streams_[1]);
  // release: pairs with the guest's acquire load; frames up to console_tail are complete.
  if (out || err) window_->word32(offsetof(vgpu_control, console_tail)).store(tail_, std::memory_order_release);
}

}  // namespace vgpu::worker
