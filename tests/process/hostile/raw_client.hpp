// A client that obeys nobody: it says a proper hello, and then writes into its window what the test wants.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "common/api/ops.gen.hpp"
#include "common/control/exit_class.hpp"
#include "common/ring/producer.hpp"
#include "tests/process/broker/harness.hpp"

namespace vgpu::test {

struct Answer {
  uint32_t result = 0;
  uint32_t deferred = 0;
  std::vector<uint8_t> data;

  template <typename Reply>
  Reply as() const {
    Reply reply;
    wire::Reader in(data);
    if (!reply.decode(in)) throw std::runtime_error("an answer that does not decode");
    return reply;
  }
};

class RawClient {
 public:
  /// What the client tells the worker of its places; by default what the broker offered.
  struct Places {
    uint64_t window_base, arena_base, arena_size;
  };

  /// Connects and maps the window; the worker waits until begin().
  explicit RawClient(const std::string& socket);
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  Places places() const { return places_; }
  void begin(const Places& places);
  void begin() { begin(places_); }
  /// begin(), and waits until the worker serves.
  void start();
  /// A context, current for all records that follow.
  void make_context();

  const shm::Window& window() const { return window_; }
  vgpu_control& control() const { return *static_cast<vgpu_control*>(window_.bytes(0, sizeof(vgpu_control))); }
  uint8_t* heap(uint64_t offset = 0) const {
    return static_cast<uint8_t*>(window_.bytes(VGPU_HEAP_OFFSET + offset, 1));
  }
  uint8_t* ring_at(uint64_t position) const {
    return static_cast<uint8_t*>(window_.bytes(VGPU_RING_OFFSET + position % VGPU_RING_SIZE, 1));
  }
  uint64_t position() const { return producer_.position(); }
  void set_tail(uint64_t tail);
  void ring_doorbell() const;
  pid_t worker() const { return static_cast<pid_t>(connection.worker_pid); }
  uint64_t number() const { return connection.client_id; }

  /// Any record. False if there is no room.
  bool try_append(const vgpu_record_header& header, std::span<const uint8_t> body);
  /// Waits for room. False if the worker is lost.
  bool append(vgpu_record_header header, std::span<const uint8_t> body = {});
  template <typename Op>
  bool post(const Op& op, uint32_t slot = 0) {
    return send(op, slot, VGPU_RECORD_POSTED);
  }
  /// Without an answer if the worker is lost before it gives one.
  template <typename Op>
  std::optional<Answer> call(const Op& op, uint32_t slot = 0) {
    if (!send(op, slot, 0)) return std::nullopt;
    return wait(slot, sequence_);
  }
  /// The result alone; kLost if there is none.
  static constexpr uint32_t kLost = 0xffffffff;
  template <typename Op>
  uint32_t result_of(const Op& op, uint32_t slot = 0) {
    const auto answer = call(op, slot);
    return answer ? answer->result : kLost;
  }
  template <typename Op>
  bool send(const Op& op, uint32_t slot, uint16_t flags) {
    uint8_t body[VGPU_RECORD_MAX - sizeof(vgpu_record_header)];
    wire::Writer writer{std::span<uint8_t>(body)};
    op.encode(writer);
    return append(header_of(static_cast<uint16_t>(Op::kOp), slot, flags), writer.written());
  }
  vgpu_record_header header_of(uint16_t op, uint32_t slot = 0, uint16_t flags = 0);
  uint32_t last_sequence() const { return sequence_; }
  bool is_answered(uint32_t slot, uint32_t sequence) const;
  std::optional<Answer> wait(uint32_t slot, uint32_t sequence) const;

  /// The worker has ended, and the broker has said so.
  bool is_lost() const;
  /// Waits for that; the class of the end.
  control::ExitClass end() const;
  /// Resident memory of the worker, in bytes.
  uint64_t worker_memory() const;

  control::Connection connection;
  uint64_t context = 0;  // of the records that follow

 private:
  Places places_{};
  shm::Window window_;
  ring::Producer producer_{window_};
  uint32_t sequence_ = 0;
};

}  // namespace vgpu::test
