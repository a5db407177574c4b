#include "device_front.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <stdexcept>
#include <vector>

namespace vgpu::test {
namespace {

constexpr int kLookMs = 1;
// What a doorbell holds between two stores. A ring may have any number; 0 is the one for something else than a record.
constexpr uint32_t kNobodyRang = ~uint32_t{0};

base::UniqueFd make_memory(const char* name, uint64_t size) {
  base::UniqueFd memory(::memfd_create(name, MFD_CLOEXEC));
  if (!memory || ::ftruncate(memory.get(), static_cast<off_t>(size)) != 0) throw std::runtime_error("memfd_create");
  return memory;
}

uint64_t monotonic_ms() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_nsec) / 1'000'000;
}

constexpr uint32_t page_of(unsigned channel) { return VGPU_CHANNEL_PAGES + channel * VGPU_CHANNEL_PAGE_SIZE; }

}  // namespace

/// The guest's accesses, one at a time.
class DeviceFront::Registers final : public guestd::Registers {
 public:
  explicit Registers(DeviceFront* front) : front_(front) {}
  uint32_t load(uint32_t offset) const override {
    const std::lock_guard lock(front_->mutex_);
    return static_cast<uint32_t>(vgpu_core_bar0_read(front_->core_, offset, 4));
  }
  void store(uint32_t offset, uint32_t value) override {
    const std::lock_guard lock(front_->mutex_);
    vgpu_core_bar0_write(front_->core_, offset, value, 4);
    front_->show_registers();
  }

 private:
  DeviceFront* front_;
};

const vgpu_core_front& DeviceFront::functions() {
  static const vgpu_core_front kFunctions = {
      .log = [](void*, vgpu_core_log_level, const char* line) { std::fprintf(stderr, "device: %s\n", line); },
      // Who has mapped the memory before keeps it, other than in a machine: only new clients see the change.
      .attach_window =
          [](void* front, int fd, uint64_t) {
            return ::dup3(fd, static_cast<DeviceFront*>(front)->bar1_.get(), O_CLOEXEC) < 0 ? errno : 0;
          },
      .detach_window =
          [](void* front) {
            auto* self = static_cast<DeviceFront*>(front);
            const base::UniqueFd nothing = make_memory("placeholder", 0);
            ::dup3(nothing.get(), self->bar1_.get(), O_CLOEXEC);
          },
      .attach_doorbell = nullptr,
      .detach_doorbell = nullptr,
      .watch = [](void* front, int fd,
                  int writable) { static_cast<DeviceFront*>(front)->watched_[fd] = writable != 0; },
      .unwatch = [](void* front, int fd) { static_cast<DeviceFront*>(front)->watched_.erase(fd); },
      .set_timer = [](void* front, uint64_t when) { static_cast<DeviceFront*>(front)->timer_ms_ = when; },
      .now_ms = [](void*) { return monotonic_ms(); },
  };
  return kFunctions;
}

DeviceFront::DeviceFront(const std::string& socket, uint64_t window_size)
    : bar0_(make_memory("bar0", VGPU_BAR0_SIZE)), bar1_(make_memory("bar1", 0)) {
  void* mapped = ::mmap(nullptr, VGPU_BAR0_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, bar0_.get(), 0);
  if (mapped == MAP_FAILED) throw std::runtime_error("mmap");
  words_ = static_cast<volatile uint32_t*>(mapped);
  for (unsigned channel = 0; channel < VGPU_CHANNEL_MAX; ++channel)
    words_[(page_of(channel) + VGPU_PAGE_DOORBELL) / 4] = kNobodyRang;
  vgpu_core_config config{};
  config.socket = socket.c_str();
  config.window_size = window_size;
  config.pool = 'A';
  config.vm_id = 7;
  char error[256];
  core_ = vgpu_core_new(&config, &functions(), this, error, sizeof error);
  if (core_ == nullptr) throw std::runtime_error(error);
  vgpu_core_start(core_);
  thread_ = std::thread([this] { serve(); });
}

DeviceFront::~DeviceFront() {
  is_stopped_ = true;
  thread_.join();
  vgpu_core_free(core_);
  ::munmap(const_cast<uint32_t*>(words_), VGPU_BAR0_SIZE);
}

guestd::Device DeviceFront::open() {
  guestd::PciFunction function;
  function.address = "0000:00:05.0";
  function.revision = VGPU_PCI_REVISION;
  // The very descriptor of BAR1, for what is behind it changes.
  return {function, std::make_unique<Registers>(this), base::UniqueFd(::dup(bar0_.get())), base::UniqueFd(bar1_.get())};
}

void DeviceFront::reset() {
  const std::lock_guard lock(mutex_);
  vgpu_core_reset(core_);
  show_registers();
}

void DeviceFront::serve() {
  while (!is_stopped_) serve_once();
}

void DeviceFront::serve_once() {
  std::vector<pollfd> entries;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [fd, writable] : watched_)
      entries.push_back({fd, static_cast<short>(writable ? POLLIN | POLLOUT : POLLIN), 0});
  }
  ::poll(entries.data(), entries.size(), kLookMs);
  const std::lock_guard lock(mutex_);
  for (const pollfd& entry : entries)
    if (entry.revents != 0 && watched_.contains(entry.fd)) vgpu_core_on_ready(core_, entry.fd);
  if (timer_ms_ != 0 && monotonic_ms() >= timer_ms_) {
    timer_ms_ = 0;
    vgpu_core_on_timer(core_);
  }
  look_at_doorbells();
  show_registers();
}

void DeviceFront::look_at_doorbells() {
  for (unsigned channel = 0; channel < VGPU_CHANNEL_MAX; ++channel) {
    const uint32_t at = page_of(channel) + VGPU_PAGE_DOORBELL;
    if (words_[at / 4] == kNobodyRang) continue;
    words_[at / 4] = kNobodyRang;
    vgpu_core_bar0_write(core_, at, 1, 4);
  }
}

/// What clients read by themselves.
void DeviceFront::show_registers() {
  words_[VGPU_REG_GENERATION / 4] = static_cast<uint32_t>(vgpu_core_bar0_read(core_, VGPU_REG_GENERATION, 4));
  for (unsigned channel = 0; channel < VGPU_CHANNEL_MAX; ++channel) {
    const uint32_t at = page_of(channel) + VGPU_PAGE_STATE;
    words_[at / 4] = static_cast<uint32_t>(vgpu_core_bar0_read(core_, at, 4));
  }
}

}  // namespace vgpu::test
