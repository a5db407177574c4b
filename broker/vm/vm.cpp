#include "broker/vm/vm.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>

#include "broker/listener/greeting.hpp"
#include "broker/vm/stub_refusal.hpp"
#include "common/base/log.hpp"
#include "common/control/negotiate.hpp"

namespace vgpu::broker::vm {
namespace {

using base::Error;
using control::HelloStatus;
using control::MessageType;

constexpr std::uint64_t kMinVmWindow = std::uint64_t{64} << 20;

bool has_channel(const std::uint64_t (&bits)[VGPU_CHANNEL_MAX / 64], std::uint32_t index) {
  return (bits[index / 64] >> (index % 64) & 1) != 0;
}

/// Printable, whatever was sent.
char label_of_pool(std::uint32_t pool) { return pool >= 'A' && pool <= 'Z' ? static_cast<char>(pool) : '?'; }

/// Empty if the hello can be served; else a sentence.
std::string check_hello(const vgpu_stub_hello& hello, const VmSettings& settings) {
  if (!std::has_single_bit(hello.window_size) || hello.window_size < kMinVmWindow)
    return "its window has " + std::to_string(hello.window_size) + " bytes: it must be a power of two from 64 MiB on";
  if (hello.window_size > settings.window_size_max)
    return "its window-size of " + std::to_string(hello.window_size >> 20) + " MiB is more than the " +
           std::to_string(settings.window_size_max >> 20) + " MiB of window_size_max in [vm." + settings.name + "]";
  if (hello.channels == 0 || hello.channels > VGPU_CHANNEL_MAX)
    return "it serves " + std::to_string(hello.channels) + " channels: that must be 1 to " +
           std::to_string(VGPU_CHANNEL_MAX);
  return {};
}

legacy::DeskSettings desk_settings(const VmSettings& settings) {
  legacy::DeskSettings desk;
  desk.vm = settings.name;
  desk.timeout = settings.legacy_timeout;
  desk.rate = static_cast<unsigned>(settings.legacy_rate);
  return desk;
}

}  // namespace

Vm::Vm(event::Loop& loop, VmSettings settings, Clients& clients, std::chrono::milliseconds hello_timeout)
    : loop_(loop),
      settings_(std::move(settings)),
      clients_(clients),
      hello_timeout_(hello_timeout),
      standing_{settings_.pool, settings_.priority},
      legacy_(loop, desk_settings(settings_), clients, hello_timeout,
              [this] {
                return legacy::Standing{standing_.pool, static_cast<unsigned>(standing_.priority)};
              }),
      sweep_(loop) {}

Vm::~Vm() = default;

VmReport Vm::report() const {
  VmReport report{ending_ ? "ending" : up_ ? "up" : "down", settings_.socket};
  if (link_ && link_->is_open()) report.stub_pid = link_->peer().pid;
  if (link_ && link_->is_open()) report.stub_uid = link_->peer().uid;
  if (memory_) report.window_size = memory_->size();
  if (!up_) return report;
  report.label_vm_id = hello_.vm_id;
  report.label_pool = label_of_pool(hello_.pool);
  report.label_priority = hello_.priority;
  return report;
}

void Vm::stop() {
  if (link_) link_->close();
  up_ = false;
  legacy_.stop();
}

// ---- the link ----

void Vm::take_legacy_stub(base::UniqueFd connection, base::Peer peer) {
  legacy_.take_stub(std::move(connection), std::move(peer));
}

void Vm::take_stub(base::UniqueFd connection, base::Peer peer) {
  if (link_) link_->look();  // a stub that closes and connects at once: its end may be the later event
  if (link_ && link_->is_open()) return turn_away(connection.get(), peer);
  if (link_) closed_links_.push_back(std::move(link_));
  sweep_.start(std::chrono::milliseconds(0), [this] { closed_links_.clear(); });
  hello_ = {};
  link_ = std::make_unique<Link>(loop_, std::move(connection), std::move(peer), hello_timeout_,
                                 LinkEvents{[this](control::Frame& frame) { on_message(frame); },
                                            [this](const std::string& reason) { on_closed(reason); }});
}

void Vm::turn_away(int connection, const base::Peer& peer) {
  const auto text = fmt::format("pid {} is the stub of VM {} already", link_->peer().pid, name());
  clients_.guest_limiter().write(log::Level::warning, name(), "VM {}: refused pid {} (uid {}): {}", name(), peer.pid,
                                 peer.uid, text);
  refuse_stub(connection, HelloStatus::limit, name(), text);
}

void Vm::on_message(control::Frame& frame) {
  const auto type = frame.header().type;
  if (type == MessageType::stub_hello) return on_hello(frame);
  // Before it is answered a stub has nothing to say. One whose link has just gone down may not know yet.
  if (!up_) return on_closed("it spoke before it was answered");
  if (type == MessageType::open) return on_open(frame.as<vgpu_open>());
  if (type == MessageType::close) return on_close(frame.as<vgpu_close>().channel);
  on_legacy_request(frame.as<vgpu_legacy_request>());
}

void Vm::on_closed(const std::string& reason) {
  link_->close();
  legacy_.desk().forget(*this);
  const bool was_up = std::exchange(up_, false);
  clients_.guest_limiter().write(log::Level::info, name(), "VM {}: the link to its stub (pid {}) is down: {}", name(),
                                 link_->peer().pid, reason);
  if (was_up) end_life();
}

void Vm::refuse(HelloStatus status, const std::string& text) {
  clients_.guest_limiter().write(log::Level::warning, name(), "VM {}: refused its stub (pid {}): {}", name(),
                                 link_->peer().pid, text);
  link_->send(make_refusal(status, name(), text), MessageType::link);
  link_->close();
}

// ---- lives of the window ----

void Vm::on_hello(control::Frame& frame) {
  hello_ = frame.as<vgpu_stub_hello>();
  const auto version = frame.header().version;
  const auto agreement =
      control::negotiate({version, hello_.oldest_minor, hello_.features}, control::host_offer(control::kVersion, 0));
  if (!agreement) return refuse(HelloStatus::version, agreement.error().text);
  if (const auto problem = check_hello(hello_, settings_); !problem.empty())
    return refuse(HelloStatus::malformed, problem);
  if (!ending_ && recognise(hello_, frame)) return keep_window(hello_);
  end_life();
}

/// True if the stub shows the window that this VM's channels of before the broker's restart live in.
bool Vm::recognise(const vgpu_stub_hello& hello, const control::Frame& frame) {
  return frame.fds.size() == 1 && memory_ && memory_->size() == hello.window_size &&
         memory_->attach(frame.fds.front().get());
}

void Vm::keep_window(const vgpu_stub_hello& hello) {
  vgpu_link answer{};
  answer.kept = 1;
  unsigned running = 0;
  std::vector<std::uint64_t> closed;
  for (const auto& [client, channel] : channels_) {
    if (!has_channel(hello.open, channel.index)) {
      closed.push_back(client);  // the guest closed it while no broker served
    } else if (channel.use == Use::running) {
      answer.open[channel.index / 64] |= std::uint64_t{1} << (channel.index % 64);
      ++running;
    }
  }
  log::info("VM {}: its stub (pid {}) is back; {} channel(s) go on", name(), link_->peer().pid, running);
  answer_hello(answer, {});
  for (const auto client : closed) begin_dying(channels_.find(client));
}

void Vm::bring_up() {
  auto memory = VmMemory::create(hello_.window_size);
  if (!memory) return refuse(HelloStatus::internal, memory.error().text);
  memory_.emplace(std::move(*memory));
  const int window = memory_->descriptor();
  clients_.guest_limiter().write(
      log::Level::info, name(),
      "VM {}: link up: pid {}, uid {}, window of {} MiB, pool {}, priority {} (labels: vm_id={}, pool={}, priority={})",
      name(), link_->peer().pid, link_->peer().uid, memory_->size() >> 20, standing_.pool, to_text(standing_.priority),
      hello_.vm_id, label_of_pool(hello_.pool), hello_.priority);
  answer_hello({}, {&window, 1});
}

void Vm::answer_hello(vgpu_link answer, std::span<const int> fds) {
  up_ = true;
  answer.chosen_major = control::kVersion.major;
  answer.chosen_minor = control::kVersion.minor;
  answer.window_size = memory_->size();
  answer.channels = static_cast<std::uint32_t>(most_channels());
  answer.broker_pid = static_cast<std::uint32_t>(getpid());
  control::set_text(answer.vm, name());
  link_->send(answer, MessageType::link, fds);
}

/// Whatever the last life left is ended; then, if a stub waits, the next one begins.
void Vm::end_life() {
  ending_ = true;
  for (auto channel = channels_.begin(); channel != channels_.end();) begin_dying(channel++);
  continue_ending();
}

// A worker that does not die keeps its memory: the next life has memory of its own, so it need not wait for it.
void Vm::continue_ending() {
  if (!ending_) return;
  std::erase_if(channels_, [this](const auto& one) {
    const auto* client = clients_.find(one.first);
    const bool is_stuck = client != nullptr && client->is_quarantined();
    if (is_stuck) clients_.forget(one.first);
    return is_stuck;
  });
  if (!channels_.empty()) return;
  ending_ = false;
  memory_.reset();
  if (link_ && link_->is_open() && hello_.window_size != 0) bring_up();
}

std::optional<ClientEvents> Vm::take_back(const restart::Entry& entry, int window) {
  const auto& place = *entry.place;
  if (place.channel >= VGPU_CHANNEL_MAX || find(place.channel) != channels_.end()) return std::nullopt;
  if (!memory_) memory_.emplace(place.memory_size, place.inode);
  if (memory_->size() != place.memory_size || memory_->inode() != place.inode) return std::nullopt;
  if (window >= 0 && !memory_->attach(window)) return std::nullopt;
  if (!std::all_of(place.pieces.begin(), place.pieces.end(), [this](const Piece& p) { return memory_->claim(p); }))
    return std::nullopt;
  channels_[entry.id] = {place.channel, place.pieces, window >= 0 ? Use::running : Use::lost};
  return make_events(entry.id);
}

// ---- channels ----

void Vm::on_open(const vgpu_open& message) {
  auto client = open(message);
  if (!client) return refuse_open(message, client.error());
  vgpu_opened answer{};
  answer.channel = message.channel;
  answer.window_offset = channels_.at((*client)->id()).pieces.front().offset;
  answer.client = (*client)->id();
  const auto reply = control::complete((*client)->reply());
  static_assert(sizeof reply == sizeof answer.reply);
  std::memcpy(answer.reply, &reply, sizeof reply);
  const int fds[] = {(*client)->doorbell(), (*client)->worker_descriptor()};
  link_->send(answer, MessageType::opened, fds);
  (*client)->drop_doorbell();
}

base::Result<Client*> Vm::open(const vgpu_open& message) {
  const auto most = most_channels();
  if (message.channel >= most || find(message.channel) != channels_.end())
    return Error{EBUSY, "channel " + std::to_string(message.channel) +
                            " cannot be opened: it is in use, or beyond the " + std::to_string(most) + " of this VM"};
  auto newcomer = read_newcomer(message);
  if (!newcomer) return newcomer.error();
  std::string refusal;
  auto ticket = clients_.admission().admit(name(), {most, "channels"}, refusal);
  if (!ticket) return Error{EAGAIN, refusal};
  const auto& stub = link_->peer();
  newcomer->id = clients_.take_id();
  newcomer->vm = name();
  newcomer->guest.emplace(
      listener::Guest{{},
                      {stub.pid, stub.uid, stub.gid, base::UniqueFd(fcntl(stub.pidfd.get(), F_DUPFD_CLOEXEC, 0))},
                      std::move(*ticket)});
  const auto piece = memory_->take(settings_.channel_size);
  if (piece.size == 0) return Error{ENOMEM, "the window of VM " + name() + " is full (window-size of its device)"};
  auto window = Window::place(memory_->duplicate(), piece.offset, piece.size, newcomer->id);
  const auto id = newcomer->id;
  const auto& channel = channels_[id] = {message.channel, {piece}, Use::running};
  clients_.guest_limiter().write(log::Level::info, name(), "VM {}: client {} on channel {}: \"{}\"", name(), id,
                                 message.channel, control::get_text(newcomer->hello.label));
  auto client =
      !window ? base::Result<Client*>(window.error())
              : clients_.start(*newcomer, std::move(*window), memory_->size(), place_of(channel), make_events(id));
  if (client) return client;
  memory_->give_back(piece);
  channels_.erase(id);
  return client.error();
}

void Vm::refuse_open(const vgpu_open& message, const Error& why) {
  clients_.guest_limiter().write(log::Level::warning, name(), "VM {}: refused a client: {}", name(), why.text);
  control::HelloReply reply;
  reply.status = why.code == EPROTONOSUPPORT                                     ? HelloStatus::version
                 : why.code == EBADMSG                                           ? HelloStatus::malformed
                 : why.code == EAGAIN || why.code == EBUSY || why.code == ENOMEM ? HelloStatus::limit
                                                                                 : HelloStatus::internal;
  control::set_text(reply.text, why.text);
  vgpu_opened answer{};
  answer.channel = message.channel;
  answer.status = static_cast<std::uint32_t>(reply.status);
  reply = control::complete(reply);
  std::memcpy(answer.reply, &reply, sizeof reply);
  link_->send(answer, MessageType::opened);
}

// Idempotent: the guest's daemon may have been restarted in between.
void Vm::on_close(std::uint32_t index) {
  const auto channel = find(index);
  if (channel == channels_.end()) return tell_closed(index, true, 0);
  if (channel->second.use == Use::lost) return release(channel);
  channel->second.use = Use::closing;
  if (auto* client = clients_.find(channel->first)) client->revoke(control::KillReason::client_gone);
}

void Vm::on_legacy_request(const vgpu_legacy_request& message) {
  legacy::Request request{hello_.vm_id,    message.request_id, static_cast<char>(hello_.pool),
                          hello_.priority, message.length,     {}};
  const auto length = std::min<std::size_t>(message.length, sizeof message.payload);
  request.payload.assign(message.payload, message.payload + length);
  legacy_.desk().take(std::move(request), *this);
}

void Vm::on_answer(const legacy::Request& request, const legacy::Answer& answer) {
  vgpu_legacy_response message{};
  message.request_id = request.id;
  message.error = answer.error;
  message.length = static_cast<std::uint32_t>(answer.payload.size());
  std::copy(answer.payload.begin(), answer.payload.end(), message.payload);
  if (link_) link_->send(message, MessageType::legacy_response);
}

ClientEvents Vm::make_events(std::uint64_t client) {
  return {[this](std::uint64_t id, control::WorkerExit exit) { on_client_finished(id, exit); },
          [this] { continue_ending(); }, [this, client](std::uint64_t size) { return grow(client, size); },
          [this, client](std::uint64_t size) { return shrink(client, size); }};
}

void Vm::on_client_finished(std::uint64_t id, control::WorkerExit exit) {
  const auto channel = channels_.find(id);
  if (channel == channels_.end()) return clients_.forget(id);  // one of an earlier life that would not die
  if (channel->second.use == Use::closing || channel->second.use == Use::dying) return release(channel);
  channel->second.use = Use::lost;
  if (up_) return tell_closed(channel->second.index, false, control::to_word(exit));
  const bool none_runs =
      std::all_of(channels_.begin(), channels_.end(), [](const auto& one) { return one.second.use == Use::lost; });
  // Nobody is left who could come back to it: the process behind the stub went while no broker served.
  if (none_runs) end_life();
}

control::ExtentGrant Vm::grow(std::uint64_t client, std::uint64_t size) {
  control::ExtentGrant grant;
  const auto found = channels_.find(client);
  if (found == channels_.end() || found->second.use != Use::running || size == 0 || size % VGPU_EXTENT_ALIGN != 0)
    return grant;
  auto& channel = found->second;
  const auto piece = memory_->take(size);
  if (piece.size == 0) return grant;
  for (const auto& one : channel.pieces) grant.channel_offset += one.size;
  channel.pieces.push_back(piece);
  grant.window_offset = piece.offset;
  grant.size = piece.size;
  clients_.move(client, place_of(channel));
  return grant;
}

bool Vm::shrink(std::uint64_t client, std::uint64_t size) {
  const auto found = channels_.find(client);
  if (found == channels_.end() || found->second.pieces.size() < 2 || found->second.pieces.back().size != size)
    return false;
  auto& channel = found->second;
  memory_->give_back(channel.pieces.back());
  channel.pieces.pop_back();
  clients_.move(client, place_of(channel));
  return true;
}

Vm::Channels::iterator Vm::find(std::uint32_t index) {
  return std::find_if(channels_.begin(), channels_.end(),
                      [index](const auto& one) { return one.second.index == index && one.second.use != Use::dying; });
}

void Vm::begin_dying(Channels::iterator channel) {
  const bool is_lost = channel->second.use == Use::lost;
  channel->second.use = Use::dying;
  auto* client = clients_.find(channel->first);
  if (is_lost || client == nullptr)
    release(channel);
  else
    client->revoke(control::KillReason::client_gone);
}

/// Worker gone, guest gone: the memory is scrubbed and free.
void Vm::release(Channels::iterator channel) {
  const auto [index, pieces, use] = channel->second;
  const auto client = channel->first;
  channels_.erase(channel);
  clients_.forget(client);
  // Of a life that ends, the memory goes as a whole.
  if (!ending_)
    for (const auto& piece : pieces) memory_->give_back(piece);
  if (use != Use::dying) tell_closed(index, true, 0);
  continue_ending();
}

void Vm::tell_closed(std::uint32_t index, bool released, std::uint32_t exit_class) {
  vgpu_closed message{};
  message.channel = index;
  message.released = released ? 1 : 0;
  message.exit_class = exit_class;
  if (up_) link_->send(message, MessageType::closed);
}

restart::ChannelPlace Vm::place_of(const Channel& channel) const {
  return {name(), channel.index, memory_->size(), memory_->inode(), channel.pieces};
}

}  // namespace vgpu::broker::vm
