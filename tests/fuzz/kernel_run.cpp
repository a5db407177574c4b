// The software GPU's interpreter: whatever the parser accepts is bound and run, one block for some thousand
// instructions. A kernel may fault; it may not touch memory that is not device memory, nor upset the interpreter.
#include <cstdlib>
#include <cstring>

#include "tests/fuzz/input.hpp"
#include "worker/sim/exec/block.hpp"
#include "worker/sim/ptx/parser.hpp"

namespace {

using namespace vgpu::sim;

constexpr std::uint32_t kThreads = 40;  // a whole warp and a part of one
constexpr unsigned kSlices = 8;
constexpr std::uint32_t kSlice = 256;
constexpr std::uint64_t kLargestVariable = 64u << 10;
constexpr std::size_t kMostKernels = 3;

struct Gpu {
  memory::DeviceArena arena{8u << 20};
  memory::HostRanges host;
  std::atomic<bool> cancelled{false};
};

Gpu& gpu() {
  static auto* const one = new Gpu;
  return *one;
}

std::uint64_t allocate(std::uint64_t size) {
  const auto allocation = gpu().arena.allocate(size, 1, false);
  if (!allocation) return 0;
  gpu().arena.set_live(*allocation, true);
  return allocation->address;
}

/// Loads the module as a context does; nothing if it is too large for this GPU.
std::shared_ptr<const exec::Program> load(std::shared_ptr<const ptx::Module> module) {
  std::vector<std::uint64_t> addresses;
  for (const ptx::Variable& variable : module->variables) {
    const bool shared = variable.space == ptx::Space::shared;
    if (!shared && (variable.external || variable.size > kLargestVariable)) return nullptr;
    addresses.push_back(shared ? variable.shared_offset : allocate(std::max<std::uint64_t>(1, variable.size)));
    if (!shared && addresses.back() == 0) return nullptr;
  }
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    const ptx::Variable& variable = module->variables[i];
    if (variable.space == ptx::Space::shared || variable.size == 0) continue;
    std::byte* bytes = gpu().arena.resolve_range(addresses[i], variable.size);
    const auto initial = exec::initial_contents(variable, addresses);
    if (bytes == nullptr || initial.size() > variable.size) std::abort();
    std::memset(bytes, 0, variable.size);
    if (!initial.empty()) std::memcpy(bytes, initial.data(), initial.size());
  }
  return std::make_shared<const exec::Program>(exec::bind_program(std::move(module), std::move(addresses)));
}

void run_kernel(const std::shared_ptr<const exec::Program>& program, std::uint32_t function, std::uint64_t buffer) {
  const ptx::Function& kernel = program->module->functions[function];
  exec::Output output;
  exec::Launch launch;
  launch.program = program;
  launch.function = function;
  launch.grid = {2, 1, 1};
  launch.block = {kThreads, 1, 1};
  launch.dynamic_shared = 1024;
  launch.parameters.resize(kernel.parameter_bytes);
  for (const ptx::Parameter& parameter : kernel.parameters) {  // an address, or its low half
    const std::size_t size = std::min<std::size_t>(parameter.size, sizeof buffer);
    std::memcpy(launch.parameters.data() + parameter.offset, &buffer, size);
  }
  const exec::Textures textures;
  const exec::Machine machine{gpu().arena, gpu().host, output, gpu().cancelled, {}, &textures};
  exec::Running running{launch, machine, kernel};
  exec::Block block(running);
  block.start({1, 0, 0}, 1);
  for (unsigned slices = 0; slices < kSlices; ++slices) {
    const auto state = block.run(kSlice);
    if (running.fault.code != exec::FaultCode::none) return;
    if (state == exec::WarpState::finished || state == exec::WarpState::blocked) return;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto parsed = ptx::parse_ptx(vgpu::fuzz::Input(data, size).text());
  if (!parsed) return 0;
  const auto program = load(std::make_shared<const ptx::Module>(std::move(*parsed)));
  const std::uint64_t buffer = program != nullptr ? allocate(4096) : 0;
  if (buffer != 0) {
    std::size_t kernels = 0;
    const auto& functions = program->module->functions;
    for (std::uint32_t i = 0; i < functions.size() && kernels < kMostKernels; ++i) {
      if (!functions[i].is_entry || !functions[i].defined) continue;
      run_kernel(program, i, buffer);
      ++kernels;
    }
  }
  gpu().arena.release_owned(1);
  return 0;
}
