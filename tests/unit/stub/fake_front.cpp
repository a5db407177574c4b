#include "tests/unit/stub/fake_front.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include <algorithm>

namespace vgpu::stub {
namespace {

FakeFront& self(void* front) { return *static_cast<FakeFront*>(front); }

void check_descriptor(void* front, int fd) {
  const int flags = ::fcntl(fd, F_GETFD);
  if (flags < 0) self(front).broken_rule = "a closed descriptor";
  if (flags == 0) self(front).broken_rule = "a descriptor that programs started by the front would inherit";
}

void log(void* front, vgpu_core_log_level, const char* line) {
  if (std::string(line).find('\n') != std::string::npos) self(front).broken_rule = "a line with a newline";
  self(front).lines.emplace_back(line);
}

int attach_window(void* front, int fd, std::uint64_t size) {
  struct stat about {};
  check_descriptor(front, fd);
  (void)::fstat(fd, &about);
  if (self(front).window != 0) self(front).broken_rule = "attach_window over another window";
  if (self(front).attach_window_error != 0) return self(front).attach_window_error;
  self(front).window = about.st_ino;
  self(front).window_size = size;
  return 0;
}

void detach_window(void* front) {
  if (self(front).window == 0) self(front).broken_rule = "detach_window without a window";
  self(front).window = 0;
}

int attach_doorbell(void* front, unsigned channel, std::uint64_t offset, int fd) {
  check_descriptor(front, fd);
  if (!self(front).takes_doorbells) return 1;
  if (!self(front).doorbells.emplace(channel, FakeFront::Doorbell{offset, fd}).second)
    self(front).broken_rule = "a second doorbell for a channel";
  return 0;
}

void detach_doorbell(void* front, unsigned channel, std::uint64_t offset, int fd) {
  const auto found = self(front).doorbells.find(channel);
  if (found == self(front).doorbells.end() || found->second.offset != offset || found->second.fd != fd)
    self(front).broken_rule = "detach_doorbell for another doorbell than was attached";
  else
    self(front).doorbells.erase(found);
}

void watch(void* front, int fd, int writable) {
  check_descriptor(front, fd);
  self(front).watched[fd] = writable != 0;
}

void unwatch(void* front, int fd) {
  if (self(front).watched.erase(fd) == 0) self(front).broken_rule = "unwatch of what is not watched";
}

void set_timer(void* front, std::uint64_t when) { self(front).timer = when; }
std::uint64_t now_ms(void* front) { return self(front).now; }

}  // namespace

const vgpu_core_front& FakeFront::functions() {
  static const vgpu_core_front table{log,   attach_window, detach_window, attach_doorbell, detach_doorbell,
                                     watch, unwatch,       set_timer,     now_ms};
  return table;
}

void FakeFront::pump(vgpu_core* core) {
  for (int rounds = 0; rounds < 1000; ++rounds) {
    std::vector<pollfd> polled;
    for (const auto& [fd, writable] : watched)
      polled.push_back({fd, static_cast<short>(POLLIN | (writable ? POLLOUT : 0)), 0});
    ::poll(polled.data(), polled.size(), 0);
    if (std::none_of(polled.begin(), polled.end(), [](const pollfd& one) { return one.revents != 0; })) return;
    for (const auto& one : polled) {
      if ((one.revents & POLLNVAL) != 0) broken_rule = "a closed descriptor is watched";
      if (one.revents != 0 && watched.contains(one.fd)) vgpu_core_on_ready(core, one.fd);
    }
  }
  broken_rule = "a descriptor stays ready: the core does not take what is there";
}

void FakeFront::pass(vgpu_core* core, std::uint64_t ms) {
  const auto end = now + ms;
  pump(core);
  while (timer != 0 && timer <= end) {
    now = std::max(now, timer);
    timer = 0;
    vgpu_core_on_timer(core);
    pump(core);
  }
  now = end;
}

unsigned FakeFront::count_lines(const std::string& part) const {
  return static_cast<unsigned>(std::count_if(
      lines.begin(), lines.end(), [&](const std::string& line) { return line.find(part) != std::string::npos; }));
}

}  // namespace vgpu::stub
