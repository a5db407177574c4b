// Runs a kernel of some PTX text without any driver around it.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "worker/sim/exec/launch.hpp"
#include "worker/sim/ptx/parser.hpp"

namespace vgpu::sim::test {

class KernelRunner {
 public:
  /// Parses `text`; a failure throws its sentence.
  explicit KernelRunner(std::string_view text);

  /// Device memory, touchable, holding `values`.
  template <typename T>
  std::uint64_t upload(const std::vector<T>& values) {
    const std::uint64_t address = allocate(values.size() * sizeof(T));
    write(address, values.data(), values.size() * sizeof(T));
    return address;
  }
  template <typename T>
  std::vector<T> download(std::uint64_t address, std::size_t count) {
    std::vector<T> values(count);
    read(address, values.data(), count * sizeof(T));
    return values;
  }

  /// Launches with parameters of 8, 4 or 2 bytes, laid out as declared.
  exec::Fault run(const std::string& kernel, exec::Extent grid, exec::Extent block,
                  const std::vector<std::uint64_t>& arguments, std::uint32_t shared = 0);

  exec::Output output;
  std::atomic<bool> cancelled{false};
  memory::HostRanges host;
  std::uint64_t seed = 0;
  bool all_resident = false;

 private:
  std::uint64_t allocate(std::size_t bytes);
  void write(std::uint64_t address, const void* from, std::size_t bytes);
  void read(std::uint64_t address, void* to, std::size_t bytes);

  memory::DeviceArena arena_{256u << 20};
  std::shared_ptr<const exec::Program> program_;
};

/// The text of a module with the usual header around `body`.
std::string module_text(std::string_view body);

}  // namespace vgpu::sim::test
