#include "tests/unit/sim/kernel_runner.hpp"

#include <cstring>
#include <stdexcept>

namespace vgpu::sim::test {

KernelRunner::KernelRunner(std::string_view text) {
  auto parsed = ptx::parse_ptx(text);
  if (!parsed) throw std::runtime_error(parsed.error().text);
  auto module = std::make_shared<const ptx::Module>(std::move(*parsed));
  std::vector<std::uint64_t> addresses;
  for (const ptx::Variable& variable : module->variables) {
    if (variable.space == ptx::Space::shared) {
      addresses.push_back(variable.shared_offset);
      continue;
    }
    addresses.push_back(allocate(variable.size));
  }
  for (std::size_t i = 0; i < module->variables.size(); ++i) {
    const ptx::Variable& variable = module->variables[i];
    if (variable.space == ptx::Space::shared) continue;
    std::vector<std::uint8_t> bytes = exec::initial_contents(variable, addresses);
    bytes.resize(variable.size);
    write(addresses[i], bytes.data(), bytes.size());
  }
  program_ = std::make_shared<const exec::Program>(exec::bind_program(module, std::move(addresses)));
}

std::uint64_t KernelRunner::allocate(std::size_t bytes) {
  const auto allocation = arena_.allocate(bytes, 0, false);
  if (!allocation) throw std::runtime_error("no device memory");
  arena_.set_live(*allocation, true);
  return allocation->address;
}

void KernelRunner::write(std::uint64_t address, const void* from, std::size_t bytes) {
  std::memcpy(arena_.resolve_range(address, bytes), from, bytes);
}

void KernelRunner::read(std::uint64_t address, void* to, std::size_t bytes) {
  std::memcpy(to, arena_.resolve_range(address, bytes), bytes);
}

exec::Fault KernelRunner::run(const std::string& kernel, exec::Extent grid, exec::Extent block,
                              const std::vector<std::uint64_t>& arguments, std::uint32_t shared) {
  exec::Launch launch;
  launch.program = program_;
  launch.function = program_->module->function_index.at(kernel);
  launch.grid = grid;
  launch.block = block;
  launch.dynamic_shared = shared;
  launch.seed = seed;
  launch.all_resident = all_resident;
  const ptx::Function& function = program_->module->functions[launch.function];
  launch.parameters.resize(function.parameter_bytes);
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    std::memcpy(launch.parameters.data() + function.parameters.at(i).offset, &arguments[i],
                function.parameters[i].size);
  }
  return exec::run(launch, {arena_, host, output, cancelled});
}

std::string module_text(std::string_view body) {
  return ".version 9.0\n.target sm_90\n.address_size 64\n" + std::string(body);
}

}  // namespace vgpu::sim::test
