#include "broker/admission.hpp"

namespace vgpu::broker {

std::optional<Admission::Ticket> Admission::admit(uid_t uid, std::string& refusal) {
  const auto own = per_uid_.find(uid);
  if (count_ >= max_) {
    refusal = "all " + std::to_string(max_) + " places are taken (max_clients of the broker's configuration)";
    return std::nullopt;
  }
  if (own != per_uid_.end() && own->second >= max_per_uid_) {
    refusal = "user " + std::to_string(uid) + " already has " + std::to_string(max_per_uid_) +
              " clients (max_clients_per_uid of the broker's configuration)";
    return std::nullopt;
  }
  return take_back(uid);
}

Admission::Ticket Admission::take_back(uid_t uid) {
  ++count_;
  ++per_uid_[uid];
  return Ticket(*this, uid);
}

void Admission::give_back(uid_t uid) {
  --count_;
  const auto own = per_uid_.find(uid);
  if (own != per_uid_.end() && --own->second == 0) per_uid_.erase(own);
}

}  // namespace vgpu::broker
