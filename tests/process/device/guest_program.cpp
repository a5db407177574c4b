#include "tests/process/device/guest_program.hpp"

#include <catch2/catch.hpp>
#include <cstddef>

#include "common/api/ops.gen.hpp"

namespace vgpu::test {

GuestProgram::GuestProgram(VirtualMachine& vm, unsigned candidate) : vm_(vm) {
  const auto opened = vm.open();
  const auto& reply = opened.reply;
  INFO(control::get_text(reply.text));
  REQUIRE(reply.status == control::HelloStatus::ok);
  REQUIRE(reply.candidate_count > candidate);
  channel_ = opened.channel;
  worker_ = static_cast<pid_t>(reply.worker_pid);
  offset_ = reply.window_offset;
  const auto& place = reply.candidates[candidate];
  auto window = shm::Window::map_at(vm.bar1(), {offset_, reply.window_size, reply.window_capacity}, place.window_base);
  INFO((window ? "" : window.error().text));
  REQUIRE(window);
  window_ = std::move(*window);
  producer_ = std::make_unique<ring::Producer>(window_);
  window_.word64(offsetof(vgpu_control, window_base)).store(window_.base(), std::memory_order_relaxed);
  window_.word64(offsetof(vgpu_control, arena_base)).store(place.arena_base, std::memory_order_relaxed);
  window_.word64(offsetof(vgpu_control, arena_size)).store(place.arena_size, std::memory_order_relaxed);
  // release: pairs with the worker's look at the control page.
  window_.word32(offsetof(vgpu_control, guest_ready)).store(1, std::memory_order_release);
  vm_.ring(channel_);
}

std::optional<std::uint32_t> GuestProgram::count_gpus() {
  vgpu_record_header header{};
  header.op = static_cast<std::uint16_t>(api::ops::DriverFacts::kOp);
  header.sequence = ++sequence_;
  REQUIRE(producer_->try_append(header, {}));
  if (producer_->must_ring()) vm_.ring(channel_);
  const auto slot = shm::slot_offset(0);
  // acquire: pairs with the worker's release store of the sequence; the answer is complete before it.
  const auto is_answered = [&] {
    return window_.word32(slot + offsetof(vgpu_slot, sequence)).load(std::memory_order_acquire) == sequence_;
  };
  if (!vm_.run_until([&] { return is_answered() || vm_.state(channel_) == VGPU_CHANNEL_LOST; }) || !is_answered())
    return std::nullopt;
  REQUIRE(window_.word32(slot + offsetof(vgpu_slot, result)).load(std::memory_order_relaxed) == 0);
  const auto count = offsetof(vgpu_slot, data) + offsetof(api::ops::DriverFactsReply, device_count);
  return window_.word32(slot + count).load(std::memory_order_relaxed);
}

}  // namespace vgpu::test
