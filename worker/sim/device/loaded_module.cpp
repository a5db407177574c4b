#include "worker/sim/device/loaded_module.hpp"

#include <cstdio>
#include <cstring>

#include "worker/sim/device/context.hpp"
#include "worker/sim/device/simulator.hpp"
#include "worker/sim/image/image.hpp"
#include "worker/sim/ptx/parser.hpp"

namespace vgpu::sim::device {

using cuda::CUresult;

LoadedModule::~LoadedModule() {
  Simulator& sim = Simulator::get();
  for (const memory::Allocation& allocation : allocations_) {
    sim.arena.set_live(allocation, false);
    sim.arena.release(allocation.address);
  }
}

CUresult LoadedModule::load(const std::shared_ptr<const ptx::Module>& module) {
  Simulator& sim = Simulator::get();
  std::vector<std::uint64_t> addresses;
  for (const ptx::Variable& variable : module->variables) {
    if (variable.space == ptx::Space::shared) {
      addresses.push_back(variable.shared_offset);
      continue;
    }
    if (variable.external) {
      std::fprintf(stderr, "vgpu-simcuda: an external variable of the module is not defined anywhere: %.80s\n",
                   variable.name.c_str());
      return cuda::CUDA_ERROR_INVALID_PTX;
    }
    const auto allocation = sim.arena.allocate(std::max<std::uint64_t>(1, variable.size), context_->id(), false,
                                               static_cast<unsigned>(context_->device()));
    if (!allocation) return cuda::CUDA_ERROR_OUT_OF_MEMORY;
    allocations_.push_back(*allocation);
    sim.arena.set_live(*allocation, true);
    addresses.push_back(allocation->address);
  }
  for (std::size_t i = 0; i < module->variables.size(); ++i) {
    const ptx::Variable& variable = module->variables[i];
    if (variable.space == ptx::Space::shared || variable.size == 0) continue;
    std::byte* bytes = sim.arena.resolve_range(addresses[i], variable.size);
    const auto initial = exec::initial_contents(variable, addresses);
    if (!initial.empty()) std::memcpy(bytes, initial.data(), initial.size());
    std::memset(bytes + initial.size(), 0, variable.size - initial.size());
  }
  program_ = std::make_shared<const exec::Program>(exec::bind_program(module, std::move(addresses)));
  return cuda::CUDA_SUCCESS;
}

std::shared_ptr<FunctionObject> LoadedModule::function(const std::shared_ptr<LoadedModule>& self, std::uint32_t index,
                                                       std::shared_ptr<FunctionSettings> settings) {
  const std::lock_guard lock(mutex_);
  auto& object = functions_[index];
  if (object != nullptr) return object;
  object = std::make_shared<FunctionObject>();
  object->handle = next_handle();
  object->module = self;
  object->program = program_;
  object->index = index;
  object->settings = settings != nullptr ? std::move(settings) : std::make_shared<FunctionSettings>();
  object->context_id = context_->id();
  Simulator::get().functions.add(object->handle, object);
  return object;
}

bool LoadedModule::find_variable(const std::string& name, std::uint64_t& address, std::uint64_t& size) const {
  const ptx::Module& module = *program_->module;
  const auto found = module.variable_index.find(name);
  if (found == module.variable_index.end()) return false;
  const ptx::Variable& variable = module.variables[found->second];
  if (variable.space == ptx::Space::shared || variable.in_function) return false;
  address = program_->variable_addresses[found->second];
  size = variable.size;
  return true;
}

void Library::open(const std::shared_ptr<Library>& self) {
  for (std::uint32_t i = 0; i < module_->functions.size(); ++i) {
    if (!module_->functions[i].is_entry || !module_->functions[i].defined) continue;
    auto kernel = std::make_shared<KernelObject>();
    kernel->handle = next_handle();
    kernel->library = self;
    kernel->module = module_;
    kernel->index = i;
    Simulator::get().kernels.add(kernel->handle, kernel);
    kernels_.push_back(std::move(kernel));
  }
}

std::shared_ptr<LoadedModule> Library::loaded(const Context& context) {
  const std::lock_guard lock(mutex_);
  const auto found = loaded_.find(context.id());
  return found == loaded_.end() ? nullptr : found->second;
}

CUresult Library::load(const std::shared_ptr<Context>& context, std::shared_ptr<LoadedModule>& out) {
  if (fault != cuda::CUDA_SUCCESS) return fault;
  const std::lock_guard lock(mutex_);
  auto& module = loaded_[context->id()];
  if (module == nullptr) {
    auto fresh = std::make_shared<LoadedModule>(next_handle(), context);
    fresh->of_library = true;
    if (const CUresult result = fresh->load(module_); result != cuda::CUDA_SUCCESS) {
      loaded_.erase(context->id());
      return result;
    }
    Simulator::get().modules.add(fresh->handle, fresh);
    module = std::move(fresh);
  }
  out = module;
  return cuda::CUDA_SUCCESS;
}

bool Library::is_used() {
  const std::lock_guard lock(mutex_);
  return !loaded_.empty();
}

void Library::unload() {
  Simulator& sim = Simulator::get();
  for (const auto& kernel : kernels_) sim.kernels.take(reinterpret_cast<const void*>(kernel->handle));
  const std::lock_guard lock(mutex_);
  for (const auto& [context, module] : loaded_) {
    sim.modules.take(reinterpret_cast<const void*>(module->handle));
    sim.functions.remove_if(
        [&gone = module](const FunctionObject& function) { return function.module.lock() == gone; });
  }
  loaded_.clear();
}

void Library::forget(std::uint64_t context_id) {
  const std::lock_guard lock(mutex_);
  loaded_.erase(context_id);
}

CUresult parse_image(const void* image, std::shared_ptr<const ptx::Module>& out, std::string* why) {
  const auto refuse = [&](const base::Error& error) {
    if (why != nullptr) *why = error.text;
    std::fprintf(stderr, "vgpu-simcuda: module refused: %s\n", error.text.c_str());
    return static_cast<CUresult>(error.code);
  };
  auto text = image::read_image_at(image);
  if (!text) return refuse(text.error());
  auto module = ptx::parse_ptx(*text);
  if (!module) return refuse(module.error());
  out = std::make_shared<const ptx::Module>(std::move(*module));
  return cuda::CUDA_SUCCESS;
}

}  // namespace vgpu::sim::device
