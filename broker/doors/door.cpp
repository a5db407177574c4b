#include "broker/doors/door.hpp"

namespace vgpu::broker::doors {

Door::Door(event::Loop& loop, Entrance entrance, base::ListenSocket socket, const Receiver& receiver)
    : loop_(loop), entrance_(std::move(entrance)), receiver_(receiver), socket_(std::move(socket)) {
  held_ = socket_.take_descriptor();
}

void Door::open() {
  if (acceptor_) return;
  acceptor_.emplace(loop_, std::move(held_), [this](base::UniqueFd c) { receiver_(entrance_, std::move(c)); });
  // Whoever waits already comes before any signal: relaunched again and again, we serve all the same.
  acceptor_->accept_some();
}

void Door::close() {
  if (!acceptor_) return;
  held_ = acceptor_->release();
  acceptor_.reset();
}

void Door::shut() {
  acceptor_.reset();
  held_.reset();
}

}  // namespace vgpu::broker::doors
