// Everything the worker knows about its one client.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "common/shm/window.hpp"
#include "worker/broker_mail.hpp"
#include "worker/channel_growth.hpp"
#include "worker/code_scan.hpp"
#include "worker/console.hpp"
#include "worker/dispatch/dispatcher.hpp"
#include "worker/driver/library.hpp"
#include "worker/host_steps.hpp"
#include "worker/nvml/library.hpp"
#include "worker/objects/allocations.hpp"
#include "worker/objects/contexts.hpp"
#include "worker/objects/links.hpp"
#include "worker/objects/objects.hpp"
#include "worker/objects/resources.hpp"
#include "worker/objects/virtual_memory.hpp"
#include "worker/shares.hpp"

namespace vgpu::worker {

/// How the session ended; main() makes the exit code of it.
enum class End { running, client_gone, violation, gpu_fault, internal };

class Session {
 public:
  Session(shm::Window window, DriverLibrary driver, Doorbell doorbell, shm::GrantReader grant);

  const DriverTable& driver() const { return driver_.functions; }
  const DriverLibrary& library() const { return driver_; }
  const shm::Window& window() const { return window_; }
  Objects& objects() { return objects_; }
  Contexts& contexts() { return contexts_; }
  Allocations& allocations() { return allocations_; }
  VirtualMemory& virtual_memory() { return virtual_memory_; }
  Links& links() { return links_; }
  Resources& resources() { return resources_; }
  Dispatcher& dispatcher() { return dispatcher_; }
  HostSteps& host_steps() { return host_steps_; }
  Console& console() { return console_; }
  nvml::Library& nvml() { return nvml_; }

  /// The context of the record in hand; valid in handlers of operations that need one.
  ContextState& context() { return *current_context_; }
  uint64_t context_handle() const { return contexts_.current(); }
  /// The one that memory made now belongs to: the primary context's, where a green one of its is current.
  uint64_t memory_owner() {
    const uint64_t primary = current_context_->green == nullptr ? 0 : contexts_.primary(current_context_->device);
    return primary != 0 ? primary : contexts_.current();
  }
  /// Makes the record's context current, and says whether that worked.
  CUresult enter(uint64_t context);

  /// The client broke the protocol: it is cut off. Says why, once.
  CUresult violation(const char* what);
  /// Sees every result that the driver gives. A sticky error ends the client's use of the GPU: it is published and the
  /// worker ends.
  void observe(CUresult result);

  End end() const { return end_; }
  void set_end(End end) {
    if (end_ == End::running) end_ = end;
  }
  /// Whether waits must make the real synchronising call too: for clients whose code can print (device printf, assert),
  /// and for those that use pools, which the driver trims when it synchronises.
  bool needs_real_waits() const { return needs_real_waits_; }
  void note_code(std::span<const uint8_t> image) { needs_real_waits_ = needs_real_waits_ || can_print(image); }
  void note_pool() { needs_real_waits_ = true; }
  CUresult sticky() const { return sticky_; }

  /// Registers control page, slots and ring with the driver, once a context exists, so that small results are written
  /// there directly.
  void register_control_area();
  /// The context that registered it is gone, and so is the registration.
  void forget_control_area(uint64_t context);

  /// How the channel grows; null if it cannot.
  ChannelGrowth* growth() { return growth_.get(); }
  /// What goes from client to client of the VM; null without a broker.
  Shares* shares() { return shares_.get(); }
  /// `control`: the socket to the broker; `memory`: of the window, or -1 if the channel cannot grow.
  void connect_broker(int control, int memory);

  /// Where sentences for the operator go; nowhere until this is called.
  void on_tell(std::function<void(const std::string&, CUresult)> tell) { tell_ = std::move(tell); }
  void tell(const std::string& text, CUresult error);

  /// Serves until the client is gone or must be cut off.
  End serve();

 private:
  std::function<void(const std::string&, CUresult)> tell_;
  shm::Window window_;
  std::unique_ptr<BrokerMail> mail_;
  std::unique_ptr<ChannelGrowth> growth_;
  std::unique_ptr<Shares> shares_;
  DriverLibrary driver_;
  Objects objects_;
  Contexts contexts_;
  Allocations allocations_;
  VirtualMemory virtual_memory_;
  Links links_;
  Resources resources_;
  Console console_;
  HostSteps host_steps_;
  nvml::Library nvml_;
  ContextState* current_context_ = nullptr;
  CUresult sticky_ = CUDA_SUCCESS;
  End end_ = End::running;
  uint64_t control_registered_by_ = 0;  // context
  bool needs_real_waits_ = false;
  Dispatcher dispatcher_;
};

/// True for results after which the real driver refuses all further work of the process.
bool is_sticky(CUresult result);

}  // namespace vgpu::worker
