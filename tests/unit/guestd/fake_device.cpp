#include "fake_device.hpp"

#include <sys/mman.h>

#include <array>
#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace vgpu::test {
namespace {

base::UniqueFd make_memory(const char* name, uint64_t size) {
  base::UniqueFd memory(::memfd_create(name, MFD_CLOEXEC));
  if (!memory || ::ftruncate(memory.get(), static_cast<off_t>(size)) != 0) throw std::runtime_error("memfd_create");
  return memory;
}

void write_file(const std::filesystem::path& path, const std::string& text) { std::ofstream(path) << text; }

std::string hex(uint32_t value) {
  std::ostringstream text;
  text << "0x" << std::hex << value << "\n";
  return text.str();
}

}  // namespace

TemporaryFolder::TemporaryFolder() {
  std::string name = std::filesystem::temp_directory_path() / "vgpu-guestd.XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
  path = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path, ignored);
}

class FakeDevice::Front final : public guestd::Registers {
 public:
  explicit Front(FakeDevice* device) : device_(device) {}
  uint32_t load(uint32_t offset) const override { return device_->get(offset); }
  void store(uint32_t offset, uint32_t value) override {
    if (offset == VGPU_REG_COMMAND) return device_->obey(value);
    device_->set(offset, value);
    if (device_->on_write) device_->on_write(offset, value);
  }

 private:
  FakeDevice* device_;
};

FakeDevice::FakeDevice(uint64_t window_size)
    : bar0_(make_memory("bar0", VGPU_BAR0_SIZE)), bar1_(make_memory("bar1", window_size)) {
  void* mapped = ::mmap(nullptr, VGPU_BAR0_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, bar0_.get(), 0);
  if (mapped == MAP_FAILED) throw std::runtime_error("mmap");
  words_ = static_cast<uint32_t*>(mapped);
  set(VGPU_REG_MAGIC, VGPU_DEVICE_MAGIC);
  set(VGPU_REG_LAYOUT, VGPU_DEVICE_LAYOUT);
  set(VGPU_REG_CHANNELS, VGPU_CHANNEL_MAX);
  set(VGPU_REG_GENERATION, 1);
  set(VGPU_REG_WINDOW_LO, static_cast<uint32_t>(window_size));
  set(VGPU_REG_WINDOW_HI, static_cast<uint32_t>(window_size >> 32));
  set_link(VGPU_LINK_UP, "vm-a");
}

FakeDevice::~FakeDevice() { ::munmap(words_, VGPU_BAR0_SIZE); }

guestd::Device FakeDevice::open() {
  guestd::PciFunction function;
  function.address = "0000:00:05.0";
  function.revision = VGPU_PCI_REVISION;
  return {function, std::make_unique<Front>(this), base::UniqueFd(::dup(bar0_.get())),
          base::UniqueFd(::dup(bar1_.get()))};
}

void FakeDevice::set_link(uint32_t link, const std::string& text) {
  std::array<char, VGPU_LINK_TEXT_SIZE> field{};
  text.copy(field.data(), field.size() - 1);
  for (uint32_t at = 0; at < field.size(); at += 4) {
    uint32_t word;
    std::memcpy(&word, field.data() + at, 4);
    set(VGPU_REG_LINK_TEXT + at, word);
  }
  set(VGPU_REG_LINK, link);
}

void FakeDevice::set_channel(uint32_t channel, uint32_t state) {
  set(VGPU_CHANNEL_TABLE + channel * VGPU_CHANNEL_ENTRY, state);
  set(VGPU_CHANNEL_PAGES + channel * VGPU_CHANNEL_PAGE_SIZE + VGPU_PAGE_STATE, state);
}

void FakeDevice::write_reply(const control::HelloReply& reply) {
  for (uint32_t at = 0; at < sizeof reply; at += 4) {
    uint32_t word;
    std::memcpy(&word, reinterpret_cast<const char*>(&reply) + at, 4);
    set(VGPU_REPLY_BUFFER + at, word);
  }
}

control::Hello FakeDevice::hello() const {
  control::Hello hello;
  for (uint32_t at = 0; at < sizeof hello; at += 4) {
    const uint32_t word = get(VGPU_REQUEST_BUFFER + at);
    std::memcpy(reinterpret_cast<char*>(&hello) + at, &word, 4);
  }
  return hello;
}

control::HelloReply FakeDevice::good_reply(uint64_t offset) {
  control::HelloReply reply;
  reply.header.type = control::MessageType::hello_reply;
  reply.header.size = sizeof reply;
  reply.chosen = control::kVersion;
  reply.window_size = 8u << 20;
  reply.window_offset = offset;
  reply.window_capacity = 32u << 20;
  reply.client_id = 77;
  return reply;
}

void FakeDevice::finish_open(uint32_t channel, const control::HelloReply& reply) {
  write_reply(reply);
  set(VGPU_REG_RESULT, channel);
  set_channel(channel, VGPU_CHANNEL_OPEN);
  finish(VGPU_COMMAND_DONE);
}

void FakeDevice::obey(uint32_t command) {
  commands.push_back(command);
  finish(VGPU_COMMAND_BUSY);
  if (on_command) return on_command(command);
  const uint32_t channel = command >> VGPU_COMMAND_CHANNEL_SHIFT;
  if ((command & 0xff) == VGPU_COMMAND_CLOSE) {
    set_channel(channel, VGPU_CHANNEL_FREE);
    return finish(VGPU_COMMAND_DONE);
  }
  uint32_t fresh = 0;
  while (get(VGPU_CHANNEL_TABLE + fresh * VGPU_CHANNEL_ENTRY) != VGPU_CHANNEL_FREE) ++fresh;
  finish_open(fresh, good_reply());
}

void FakeFunction::write(const std::filesystem::path& root) const {
  const auto folder = root / address;
  std::filesystem::create_directories(folder);
  write_file(folder / "vendor", hex(vendor));
  write_file(folder / "device", hex(device));
  write_file(folder / "class", hex(device_class << 8));
  write_file(folder / "revision", hex(revision));
  write_file(folder / "enable", "0\n");
  for (const char* name : {"resource0", "resource1"}) write_file(folder / name, "");
  std::filesystem::resize_file(folder / "resource0", bar0_size);
  std::filesystem::resize_file(folder / "resource1", 64u << 20);
  if (bar0_size < VGPU_BAR0_SIZE) return;
  put_word(folder / "resource0", VGPU_REG_MAGIC, magic);
  put_word(folder / "resource0", VGPU_REG_LAYOUT, layout);
}

void put_word(const std::filesystem::path& path, uint32_t offset, uint32_t value) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(offset);
  file.write(reinterpret_cast<const char*>(&value), sizeof value);
}

std::string read_text(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace vgpu::test
