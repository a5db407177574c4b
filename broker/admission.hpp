// How many clients there may be, in all and of one user. A connection counts from accept to the end of its worker.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <utility>

namespace vgpu::broker {

class Admission {
 public:
  /// A place taken; given back when destroyed. Must not outlive its Admission.
  class Ticket {
   public:
    Ticket(Ticket&& other) noexcept : owner_(std::exchange(other.owner_, nullptr)), uid_(other.uid_) {}
    Ticket& operator=(Ticket&&) = delete;
    ~Ticket() {
      if (owner_ != nullptr) owner_->give_back(uid_);
    }

   private:
    friend class Admission;
    Ticket(Admission& owner, uid_t uid) : owner_(&owner), uid_(uid) {}
    Admission* owner_;
    uid_t uid_;
  };

  Admission(std::size_t max_clients, std::size_t max_per_uid) : max_(max_clients), max_per_uid_(max_per_uid) {}

  /// A ticket, or nothing and a sentence in `refusal`.
  std::optional<Ticket> admit(uid_t uid, std::string& refusal);
  /// A place for a client that an earlier broker admitted: its programs run already, so limits do not refuse it, but it
  /// counts.
  Ticket take_back(uid_t uid);
  std::size_t count() const { return count_; }

 private:
  void give_back(uid_t uid);

  std::size_t max_;
  std::size_t max_per_uid_;
  std::size_t count_ = 0;
  std::map<uid_t, std::size_t> per_uid_;  // only users that have a client
};

}  // namespace vgpu::broker
