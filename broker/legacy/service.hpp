// All that a VM has of the field's protocol: desk, worker, and the connections of its revision-2 stubs.
#pragma once

#include <memory>
#include <vector>

#include "broker/clients.hpp"
#include "broker/legacy/desk.hpp"
#include "broker/legacy/stub_connection.hpp"
#include "broker/legacy/worker.hpp"

namespace vgpu::broker::legacy {

class Service {
 public:
  /// `clients` outlives it; its settings are those of the worker.
  Service(event::Loop& loop, DeskSettings settings, Clients& clients, std::chrono::milliseconds patience,
          std::function<Standing()> standing);

  Desk& desk() { return desk_; }
  const Desk& desk() const { return desk_; }
  /// 0: none runs.
  pid_t worker_pid() const { return worker_.pid(); }
  /// The process behind a stub of revision 2 that is connected; null: there is none.
  const base::Peer* find_stub() const;
  bool has_stub() const { return find_stub() != nullptr; }
  /// A stub of revision 2 has connected; nothing has been read of what it says.
  void take_stub(base::UniqueFd connection, base::Peer peer);
  /// What waits is answered, the worker is ended and, for a second at most, waited for.
  void end_worker();
  /// The same, and everybody is let go for good.
  void stop();

 private:
  void on_closed(std::size_t slot, const std::string& why);

  event::Loop& loop_;
  const std::string vm_;
  Clients& clients_;
  const std::chrono::milliseconds patience_;
  LogLimiter request_lines_;  // of requests: they leave a VM's other lines their room
  Worker worker_;
  Desk desk_;
  std::vector<std::unique_ptr<StubConnection>> connections_;  // by slot; null: free
  std::vector<std::unique_ptr<StubConnection>> closed_;       // until the callback that closed them has returned
  event::Timer sweep_;                                        // then
};

}  // namespace vgpu::broker::legacy
