// How many clients there may be, in all and of one VM. A connection counts from accept to the end of its worker.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

namespace vgpu::broker {

class Admission {
 public:
  /// A place taken; given back when destroyed. Must not outlive its Admission.
  class Ticket {
   public:
    Ticket(Ticket&& other) noexcept : owner_(std::exchange(other.owner_, nullptr)), vm_(std::move(other.vm_)) {}
    Ticket& operator=(Ticket&&) = delete;
    ~Ticket() {
      if (owner_ != nullptr) owner_->give_back(vm_);
    }

   private:
    friend class Admission;
    Ticket(Admission& owner, std::string vm) : owner_(&owner), vm_(std::move(vm)) {}
    Admission* owner_;
    std::string vm_;
  };

  explicit Admission(std::size_t max_clients) : max_(max_clients) {}

  /// How many clients one VM may have, and what the sentence for one too many names.
  struct Quota {
    std::size_t most;
    const char* setting;
  };

  /// A ticket, or nothing and a sentence in `refusal`.
  std::optional<Ticket> admit(const std::string& vm, Quota quota, std::string& refusal);
  /// A place for a client that an earlier broker admitted: its programs run already, so limits do not refuse it, but it
  /// counts.
  Ticket take_back(const std::string& vm);
  std::size_t count() const { return count_; }

  /// A VM in quarantine gets no place until it is released. What it has already is the caller's to take.
  void set_quarantined(const std::string& vm, bool is_quarantined);
  bool is_quarantined(const std::string& vm) const { return quarantined_.contains(vm); }
  const std::set<std::string>& quarantined() const { return quarantined_; }

 private:
  void give_back(const std::string& vm);

  std::size_t max_;
  std::size_t count_ = 0;
  std::map<std::string, std::size_t> per_vm_;  // only VMs that have a client
  std::set<std::string> quarantined_;
};

}  // namespace vgpu::broker
