// The one thread that replays a client's records, in order, and never waits inside the driver (decision 10;
// docs/design/004-dispatch.md).
//
// A call that must wait for the GPU is kept: a mark (an event) stands at its place, and the dispatcher looks at the
// marks between records. What would block in the driver until the context is idle is parked until a fence over the
// context has passed. Records of other guest threads go on meanwhile.
#pragma once

#include <time.h>

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "common/base/unique_fd.hpp"
#include "common/ring/consumer.hpp"
#include "common/shm/segment.hpp"
#include "common/shm/window.hpp"
#include "worker/dispatch/call.hpp"
#include "worker/dispatch/front_queue.hpp"
#include "worker/dispatch/replies.hpp"
#include "worker/dispatch/trace.hpp"
#include "worker/objects/contexts.hpp"
#include "worker/objects/objects.hpp"

namespace vgpu::worker {

class Session;

/// What wakes a sleeping worker. `client` becomes readable when the client process has ended; it may be absent.
struct Doorbell {
  base::UniqueFd bell;
  base::UniqueFd client;
};

/// Takes what was rung; false if the doorbell cannot be read. Never blocks: the guest has the same open file, and may
/// make it a blocking one or empty it under our hands.
bool silence(int bell);

class Dispatcher {
 public:
  /// `grant` is the broker's permission to submit; records wait in the ring while it is closed.
  Dispatcher(Session& session, const shm::Window& window, Doorbell doorbell, shm::GrantReader grant);

  /// From now on each record has a line in the log, if its level is "trace".
  void trace(uint64_t client) { trace_.start(client); }
  /// Tells the broker which devices the client sees; once, before it is served.
  void announce_devices(const std::vector<shm::DeviceUse>& devices);
  /// Serves records until the session ends; then every waiting call is answered.
  void run();

  // For handlers. --------------------------------------------------------------------------------------------------

  /// Counts one command given to the driver on the stream with this handle (1: the legacy stream of the current
  /// context).
  void count(uint64_t stream);
  /// The same on a stream of this context, which need not be current.
  void count_in(uint64_t context, uint64_t stream);
  /// Finishes `call` when everything submitted so far on `stream` is complete.
  void finish_after_stream(Call& call, uint64_t stream);
  /// The same, right behind a copy on that stream: an event there orders nothing that the copy does not.
  void finish_after_copy(Call& call, uint64_t stream);
  /// Finishes `call` when everything submitted so far in the current context is complete.
  void finish_after_context(Call& call);
  /// Finishes `call` when `event` is complete; the event stays the client's.
  void finish_after_event(Call& call, const Event& event);
  /// Stores `value` into a word of the window's heap once `stream` got here.
  CUresult mark_after_stream(uint64_t stream, uint64_t word, uint32_t value);
  /// Finishes `call` when what was submitted up to the previous credit is complete, and leaves the next credit's mark
  /// here.
  void finish_after_credit(Call& call, uint64_t stream);
  /// Answers whoever waits for a client's event that is about to go.
  void forget_event(CUevent event);
  /// Forgets marks that lie in a context which is about to go; their calls are answered, those of other contexts that
  /// were parked for its work run in the next round.
  void forget_context(uint64_t context);

 private:
  enum class After : uint8_t { answer, store, run };

  /// Something that happens when a mark is reached.
  struct Pending {
    After what = After::answer;
    bool pooled = true;     ///< the event goes back to the context's pool
    bool by_query = false;  ///< no event: the legacy stream is queried
    bool covers_context = false;
    CUevent event = nullptr;
    uint64_t context = 0;
    uint64_t stream = 0;
    uint64_t submitted = 0;  ///< the context's count at the mark
    uint64_t since = 0;      ///< ns, when it was made
    std::unique_ptr<Call> call;
    uint64_t word = 0;
    uint32_t value = 0;
  };

  void serve();
  void answer_the_waiting();
  /// Records are taken: not while a parked call starves, the grant is closed, or too many marks are watched.
  bool may_take();
  bool may_submit();
  bool is_client_gone(const timespec& timeout);
  void publish_usage();
  void publish_devices();
  bool take_record();
  void execute(std::unique_ptr<Call> call, std::span<const uint8_t> body);
  void done(std::unique_ptr<Call> call);
  bool must_wait_for_context(const Call& call, uint64_t& busy_context);
  void park(std::unique_ptr<Call> call, std::span<const uint8_t> body, uint64_t busy_context);
  bool record_fence(ContextState& context, CUevent& event);
  CUresult record_mark(ContextState& context, CUstream stream, CUevent& event);
  void note_captured(ContextState& context, uint64_t stream);
  bool look_at_pendings();
  CUresult state_of(Pending& pending);
  void reached(Pending pending, CUresult result);
  void note_complete(const Pending& pending);
  /// The real synchronising call on a mark that was reached, so an instant one: it flushes device printf. It costs 1.3
  /// us, so only for clients whose code can print.
  /// Without an event the stream was queried, which flushes by itself.
  CUresult settle(CUevent event);
  /// The same where nothing is to be waited for: other marks, which settle nothing, may have found the context idle.
  CUresult settle_idle(const ContextState& context, CUstream stream);
  bool non_blocking_work(uint64_t context);
  void sleep(uint64_t now);
  uint64_t oldest_wait(uint64_t now) const;
  void publish_progress();
  std::unique_ptr<Call> new_call();
  /// Makes the context of a stream current: what is waited for must not be another one's work. The legacy stream is the
  /// current context's.
  CUresult enter_context_of(uint64_t stream);
  Pending pending_here(uint64_t stream);

  Session& session_;
  const shm::Window* window_;
  Doorbell doorbell_;
  shm::GrantReader grant_;
  shm::Usage usage_;
  ring::Consumer consumer_;
  Replies replies_;
  FrontQueue<Pending> pendings_;
  std::vector<std::unique_ptr<Call>> free_calls_;
  std::vector<Pending> made_in_handler_;         // pendings whose call is still in hand
  std::array<bool, VGPU_SLOT_COUNT> waiting_{};  // slots whose thread waits for an answer
  bool draining_ = false;                        // a parked call starves: no new records until it ran
  unsigned debug_lines_ = 0;
  Trace trace_;
  uint64_t taken_ = 0;  // records, in the order of the ring
};

}  // namespace vgpu::worker
