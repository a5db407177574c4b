#include "worker/sim/device/shared_event.hpp"

#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

namespace vgpu::sim::device {

std::shared_ptr<SharedEvent> SharedEvent::make() {
  const int file = ::memfd_create("vgpu-sim-event", MFD_CLOEXEC);
  if (file >= 0 && ::ftruncate(file, sizeof(Page)) == 0) return adopt(file);
  if (file >= 0) ::close(file);
  return nullptr;
}

std::shared_ptr<SharedEvent> SharedEvent::open(const ForeignFile& name) {
  const int file = name.open();
  return file < 0 ? nullptr : adopt(file);
}

std::shared_ptr<SharedEvent> SharedEvent::adopt(int file) {
  void* page = ::mmap(nullptr, sizeof(Page), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (page != MAP_FAILED) return std::shared_ptr<SharedEvent>(new SharedEvent(file, static_cast<Page*>(page)));
  ::close(file);
  return nullptr;
}

SharedEvent::~SharedEvent() {
  ::munmap(page_, sizeof(Page));
  ::close(file_);
}

void SharedEvent::complete(std::uint64_t number) {
  std::uint64_t known = page_->completed.load();
  while (known < number && !page_->completed.compare_exchange_weak(known, number)) {
  }
}

void SharedEvent::wait(std::uint64_t number) const {
  constexpr timespec nap{0, 100'000};
  constexpr int naps_for_the_living = 300'000;  // 30 s: nothing that a test runs takes longer
  for (int naps = 0; !is_complete(number) && naps < naps_for_the_living; ++naps) ::nanosleep(&nap, nullptr);
}

}  // namespace vgpu::sim::device
