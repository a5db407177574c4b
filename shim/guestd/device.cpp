#include "shim/guestd/device.hpp"

#include <fcntl.h>
#include <sys/file.h>

#include <array>
#include <cerrno>
#include <span>
#include <system_error>

#include "common/control/messages.hpp"

namespace vgpu::guestd {
namespace {

using base::Error;
using base::UniqueFd;

Error refused(const PciFunction& function, const std::string& why) {
  return {ENODEV, "the device at " + function.address + " " + why};
}

/// What can be told without touching the device's memory.
base::Result<void> check_identity(const PciFunction& function) {
  if (function.revision == 1)
    return refused(function,
                   "is a vgpu-stub of revision 0x01, which has no registers: install the newer device on the host");
  if (function.bar0_size < VGPU_BAR0_SIZE)
    return refused(function, function.bar0_size == 0
                                 ? "has no BAR 0: it is no vgpu-stub"
                                 : "serves legacy requests only: install the newer vgpu-stub on the host for CUDA");
  return {};
}

/// The magic decides, whatever vendor and device say.
base::Result<void> check_magic(const PciFunction& function, const Registers& registers) {
  const uint32_t magic = registers.load(VGPU_REG_MAGIC);
  if (magic == 0xffffffff)
    return refused(function, "does not answer: its memory is not enabled, or the host has taken it away");
  if (magic != VGPU_DEVICE_MAGIC) return refused(function, "is no vgpu-stub: the magic at 0x1000 of BAR 0 is missing");
  const uint32_t layout = registers.load(VGPU_REG_LAYOUT);
  if (layout != VGPU_DEVICE_LAYOUT)
    return refused(function, "has registers of layout " + std::to_string(layout) + ", this program knows layout " +
                                 std::to_string(VGPU_DEVICE_LAYOUT) + ": update the guest's package");
  return {};
}

base::Result<UniqueFd> open_bar(const PciFunction& function, unsigned bar) {
  const auto path = function.resource(bar);
  UniqueFd file(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (file) return file;
  const int code = errno;
  const char* hint = "";
  if (code == EACCES) hint = "; root is needed";
  if (code == EPERM) hint = "; the kernel is locked down (Secure Boot), which forbids it";
  if (code == EROFS) hint = "; /sys is read-only here: ProtectKernelTunables= of a service, or a container";
  return Error{code, "cannot open " + path + ": " + std::generic_category().message(code) + hint};
}

/// A driver that has claimed the registers is why the kernel lets nobody map them.
Error cannot_map(const PciFunction& function, const Error& error) {
  if (function.driver.empty()) return error.within("cannot map " + function.resource(0));
  return {EBUSY, "the driver \"" + function.driver + "\" of this machine's kernel holds the device at " +
                     function.address + "; to unbind it: " + unbind_command(function)};
}

base::Result<Device> open_function(const PciFunction& function) {
  if (auto known = check_identity(function); !known) return known.error();
  auto bar0 = map_bar0(function, VGPU_BAR0_SIZE);
  if (!bar0) return bar0.error();
  if (auto known = check_magic(function, *bar0->registers); !known) return known.error();
  // resource1, not resource1_wc: the ring relies on stores becoming visible in the order in which they are made, which
  // a write-combining mapping does not keep. Where the host's hypervisor decides about caching (KVM on Intel), the
  // memory is cached all the same.
  auto bar1 = open_bar(function, 1);
  if (!bar1) return bar1.error();
  return Device(function, std::move(bar0->registers), std::move(bar0->file), std::move(*bar1));
}

}  // namespace

Device::Device(PciFunction function, std::unique_ptr<Registers> registers, UniqueFd bar0, UniqueFd bar1)
    : function_(std::move(function)),
      registers_(std::move(registers)),
      bar0_(std::move(bar0)),
      bar1_(std::move(bar1)) {}

std::string Device::link_text() const {
  std::array<char, VGPU_LINK_TEXT_SIZE> text{};
  registers_->copy_out(VGPU_REG_LINK_TEXT, std::as_writable_bytes(std::span(text)));
  return control::get_text(text);
}

uint32_t Device::channels() const {
  const uint32_t count = registers_->load(VGPU_REG_CHANNELS);
  return count < VGPU_CHANNEL_MAX ? count : VGPU_CHANNEL_MAX;
}

ChannelEntry Device::channel(uint32_t number) const {
  const uint32_t at = VGPU_CHANNEL_TABLE + number * VGPU_CHANNEL_ENTRY;
  return {registers_->load(at + VGPU_CHANNEL_STATE), registers_->load(at + VGPU_CHANNEL_EXIT),
          registers_->load64(at + VGPU_CHANNEL_OFFSET_LO), registers_->load64(at + VGPU_CHANNEL_CLIENT_LO)};
}

uint32_t Device::channel_state(uint32_t number) const {
  return registers_->load(VGPU_CHANNEL_TABLE + number * VGPU_CHANNEL_ENTRY + VGPU_CHANNEL_STATE);
}

base::Result<MappedBar> map_bar0(const PciFunction& function, size_t size) {
  if (auto enabled = enable(function); !enabled) return enabled.error();
  auto file = open_bar(function, 0);
  if (!file) return file.error();
  auto registers = map_registers(file->get(), size);
  if (!registers) return cannot_map(function, registers.error());
  return MappedBar{std::move(*file), std::move(*registers)};
}

base::Result<Device> open_device(const std::string& root, const std::string& address) {
  if (!address.empty()) {
    auto function = find_function(root, address);
    return function ? open_function(*function) : function.error();
  }
  Error first{
      ENODEV,
      "this machine has no vGPU device: no PCI function of class 0x1200 is there (is the virtual machine started "
      "with -device vgpu-stub?)"};
  bool is_first = true;
  for (const PciFunction& function : find_candidates(root)) {
    auto device = open_function(function);
    if (device) return device;
    if (is_first) first = device.error();
    is_first = false;
  }
  return first;
}

base::Result<UniqueFd> lock_device(const PciFunction& function) {
  auto file = open_bar(function, 0);
  if (file && ::flock(file->get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
    return Error{EBUSY, "another vgpu-guestd serves the device at " + function.address + ": stop it first"};
  return file;
}

const char* link_word(uint32_t link) {
  if (link == VGPU_LINK_UP) return "up";
  return link == VGPU_LINK_REFUSED ? "refused" : "down";
}

const char* channel_word(uint32_t state) {
  constexpr std::array kWords = {"free", "opening", "open", "lost", "closing"};
  return state < kWords.size() ? kWords[state] : "unknown";
}

}  // namespace vgpu::guestd
