// A stream: a queue of commands and the thread that runs them in order.
//
// Order between streams comes from marks: every command has one that is set when it is done, and a command may wait for
// marks of others. The legacy stream and the blocking streams wait for one another in that way, non-blocking streams
// for nobody.
//
// Locks, in the order in which they are taken: Simulator::gate, Stream::submit_mutex, Simulator::allocation_gate,
// Stream::query_mutex, Context::mutex. The first four only imitate what the real driver holds while it waits
// (experiments.md, E4 and E9); the state is guarded by Context::mutex.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "common/api/cuda_types.hpp"

namespace vgpu::sim::device {

class Context;
class Capture;
struct GraphNode;

/// Set once, under the context's mutex, when what it stands for is done.
struct Mark {
  /// Now. The context's mutex is held.
  void set();
  std::atomic<bool> done{false};
  std::uint64_t time_ns = 0;  ///< when; valid once done
};
using MarkPtr = std::shared_ptr<Mark>;

/// What a command or a graph node does.
using Work = std::function<void(Context&)>;

struct Command {
  Work work;                      ///< empty: only a place in the order
  bool counted = true;            ///< takes one of the places of the queue
  bool runs_after_error = false;  ///< stream callbacks: they are told of the error
  std::uint64_t staging = 0;      ///< bytes of staging memory it holds until done
  std::vector<MarkPtr> after;
  std::vector<MarkPtr> inner;  ///< that the work sets on its way; set when the command is done, at the latest
  MarkPtr done = std::make_shared<Mark>();
};

class Stream : public std::enable_shared_from_this<Stream> {
 public:
  enum class Kind { legacy, blocking, non_blocking };

  Stream(std::shared_ptr<Context> context, Kind kind, int priority, std::uint64_t seed);
  ~Stream();

  /// How a caller wants to hand in a command.
  struct Manner {
    bool through_gate = true;  ///< waits while the driver is held by a blocking call
    bool wait = false;         ///< returns when the command is done, holding up others on this stream and allocations
  };
  /// Queues the command; waits for room if the queue is full.
  void submit(Command command, Manner manner);
  /// True if everything submitted so far is done.
  bool is_idle();
  /// The marks that stand for all work submitted so far (for the legacy stream: that of the blocking ones, too).
  std::vector<MarkPtr> marks();

  /// Ends the thread; what is queued is dropped and counted as done.
  void stop();
  /// The program forgets the stream; what is queued still runs.
  void close();
  bool is_finished() const { return finished_.load(); }

  const std::shared_ptr<Context>& context() const { return context_; }
  Kind kind() const { return kind_; }
  int priority() const { return priority_; }
  std::uint64_t id() const { return id_; }
  std::uint64_t handle = 0;
  std::atomic<unsigned> wait_policy{0xff};  ///< kept for who asks; how this device waits does not depend on it

  // Guarded by Simulator::capture_mutex.
  std::shared_ptr<Capture> capture;
  std::vector<std::shared_ptr<GraphNode>> capture_ends;

 private:
  friend class Context;
  void push(Command command);
  bool is_full() const;
  void run();
  void delay();

  const std::shared_ptr<Context> context_;
  const Kind kind_;
  const int priority_;
  const std::uint64_t id_;
  std::mutex submit_mutex_;
  std::mutex query_mutex_;
  // Guarded by Context::mutex.
  std::deque<Command> queue_;
  MarkPtr tail_;
  std::uint32_t counted_ = 0;
  bool stopping_ = false;
  bool closing_ = false;
  std::thread thread_;
  std::atomic<bool> finished_{false};
  std::mt19937_64 random_;  ///< used by the thread only
};

}  // namespace vgpu::sim::device
