#include "shim/guestd/registers.hpp"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "shim/transport/mmio.hpp"

namespace vgpu::guestd {
namespace {

class MappedRegisters final : public Registers {
 public:
  MappedRegisters(std::byte* base, size_t size) : base_(base), size_(size) {}
  MappedRegisters(const MappedRegisters&) = delete;
  MappedRegisters& operator=(const MappedRegisters&) = delete;
  ~MappedRegisters() override { ::munmap(base_, size_); }

  uint32_t load(uint32_t offset) const override { return shim::transport::load_register(base_ + offset); }
  void store(uint32_t offset, uint32_t value) override { shim::transport::store_register(base_ + offset, value); }

 private:
  std::byte* const base_;
  const size_t size_;
};

}  // namespace

void Registers::copy_in(uint32_t offset, std::span<const std::byte> from) {
  for (size_t at = 0; at + 4 <= from.size(); at += 4) {
    uint32_t word;
    std::memcpy(&word, from.data() + at, sizeof word);
    store(offset + static_cast<uint32_t>(at), word);
  }
}

void Registers::copy_out(uint32_t offset, std::span<std::byte> to) const {
  for (size_t at = 0; at + 4 <= to.size(); at += 4) {
    const uint32_t word = load(offset + static_cast<uint32_t>(at));
    std::memcpy(to.data() + at, &word, sizeof word);
  }
}

base::Result<std::unique_ptr<Registers>> map_registers(int fd, size_t size) {
  void* base = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (base == MAP_FAILED) return base::Error{errno, std::generic_category().message(errno)};
  return std::unique_ptr<Registers>(new MappedRegisters(static_cast<std::byte*>(base), size));
}

}  // namespace vgpu::guestd
