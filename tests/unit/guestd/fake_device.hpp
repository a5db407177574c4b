// A vgpu-stub in memory: registers that answer as a test tells them to, and a folder that shows it as sysfs does. BAR0
// is a memfd, so that a client that maps its page sees the same words.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/base/unique_fd.hpp"
#include "common/control/messages.hpp"
#include "shim/guestd/device.hpp"

namespace vgpu::test {

/// A folder that is removed with this object.
class TemporaryFolder {
 public:
  TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder();
  std::filesystem::path path;
  std::string operator/(const std::string& name) const { return (path / name).string(); }
};

/// The device's side of BAR0.
class FakeDevice {
 public:
  explicit FakeDevice(uint64_t window_size = 64u << 20);
  FakeDevice(const FakeDevice&) = delete;
  FakeDevice& operator=(const FakeDevice&) = delete;
  ~FakeDevice();

  /// As the guest opens it. Its registers are this object's: it must not outlive it.
  guestd::Device open();

  uint32_t get(uint32_t offset) const { return std::atomic_ref(words_[offset / 4]).load(); }
  void set(uint32_t offset, uint32_t value) { std::atomic_ref(words_[offset / 4]).store(value); }
  void set_link(uint32_t link, const std::string& text);
  void set_channel(uint32_t channel, uint32_t state);
  void write_reply(const control::HelloReply& reply);
  control::Hello hello() const;

  /// What the broker would answer: a channel of 8 MiB at `offset`.
  static control::HelloReply good_reply(uint64_t offset = 0);
  void finish_open(uint32_t channel, const control::HelloReply& reply);
  void finish(uint32_t status) { set(VGPU_REG_STATUS, status); }

  /// Called when a command is written: what it is. Left out: opens get channels in order, closes succeed.
  std::function<void(uint32_t command)> on_command;
  /// Any other write that a guest makes.
  std::function<void(uint32_t offset, uint32_t value)> on_write;
  std::vector<uint32_t> commands;  // all that were given

  int bar0() const { return bar0_.get(); }
  int bar1() const { return bar1_.get(); }

 private:
  class Front;
  void obey(uint32_t command);

  base::UniqueFd bar0_;
  base::UniqueFd bar1_;
  uint32_t* words_;  // of BAR0; the daemon may be served on another thread than the test's
};

/// Writes a PCI function as sysfs shows it, with files for its BARs; `magic` is what stands at 0x1000.
struct FakeFunction {
  std::string address = "0000:00:05.0";
  uint32_t vendor = VGPU_PCI_VENDOR;
  uint32_t device = VGPU_PCI_DEVICE;
  uint32_t device_class = VGPU_PCI_CLASS;
  uint32_t revision = VGPU_PCI_REVISION;
  uint64_t bar0_size = VGPU_BAR0_SIZE;
  uint32_t magic = VGPU_DEVICE_MAGIC;
  uint32_t layout = VGPU_DEVICE_LAYOUT;

  void write(const std::filesystem::path& root) const;
};

/// A register of a function that is a file.
void put_word(const std::filesystem::path& path, uint32_t offset, uint32_t value);

std::string read_text(const std::string& path);

}  // namespace vgpu::test
