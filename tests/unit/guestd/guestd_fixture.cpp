#include "guestd_fixture.hpp"

#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <stdexcept>

#include "common/base/log.hpp"
#include "common/control/socket_io.hpp"
#include "shim/guestd/report.hpp"

namespace vgpu::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

base::UniqueFd connect_to(const std::string& path) {
  base::UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    throw std::runtime_error("connect " + path + ": " + std::strerror(errno));
  return socket;
}

base::ListenSocket listen_at(const std::string& path) {
  auto socket = base::ListenSocket::create(path, {0666, "", "vgpu-guestd"});
  if (!socket) throw std::runtime_error(socket.error().text);
  return std::move(*socket);
}

}  // namespace

Program::Program(const std::string& socket) : connection_(connect_to(socket)) {}

void Program::say_hello(const std::string& name, uint64_t features) {
  control::Hello hello;
  hello.features = features;
  control::set_text(hello.label, name);
  if (!control::send_message(connection_.get(), hello, {}, control::Deadline::after(seconds(5))))
    throw std::runtime_error("cannot say hello");
}

void Program::say_half() { (void)!::send(connection_.get(), "VGPC", 4, MSG_NOSIGNAL); }

std::optional<control::HelloReply> Program::look() {
  while (parser_.state() == control::FrameParser::State::incomplete) {
    const auto read = control::read_some(connection_.get(), parser_);
    if (read.status == control::ReadStatus::would_block) return {};
    if (read.status == control::ReadStatus::progress) continue;
    is_closed_ = true;
    return {};
  }
  if (parser_.state() != control::FrameParser::State::complete) throw std::runtime_error(parser_.failure());
  return parser_.frame().as<control::HelloReply>();
}

bool Program::is_closed() {
  if (parser_.state() == control::FrameParser::State::incomplete) (void)look();
  char byte;
  return is_closed_ || ::recv(connection_.get(), &byte, 1, MSG_DONTWAIT) == 0;
}

guestd::Server::Settings Guestd::quick() {
  guestd::Server::Settings settings;
  settings.link_patience = milliseconds(150);
  settings.longest_wait = seconds(20);
  settings.open_time = milliseconds(200);
  settings.limits.hello_time = milliseconds(200);
  return settings;
}

Guestd::Guestd(FakeDevice& device, guestd::Server::Settings settings)
    : fake_(&device),
      settings_(std::move(settings)),
      always_(::eventfd(1, EFD_CLOEXEC)),
      never_(::eventfd(0, EFD_CLOEXEC)) {
  log::open("vgpu-guestd", log::Level::error);
  settings_.state_file = folder_ / "guestd.json";
  start();
}

void Guestd::start() {
  device_.emplace(fake_->open());
  clients_.emplace(listen_at(socket()));
  statuses_.emplace(listen_at(socket() + guestd::kStatusSuffix));
  client_listener_ = clients_->take_descriptor();
  status_listener_ = statuses_->take_descriptor();
  server_.emplace(settings_, *device_, guestd::Server::Listeners{client_listener_.get(), status_listener_.get()});
  server_->start();
}

void Guestd::restart() {
  server_.reset();
  clients_.reset();
  statuses_.reset();
  device_.reset();
  start();
}

void Guestd::turn() { server_->turn(always_.get()); }

bool Guestd::turn_until(const std::function<bool()>& condition, milliseconds longest) {
  const auto deadline = control::Deadline::after(longest);
  while (!condition()) {
    if (deadline.passed()) return false;
    turn();
  }
  return true;
}

control::HelloReply Guestd::answer_to(Program& program) {
  std::optional<control::HelloReply> reply;
  if (!turn_until([&] { return (reply = program.look()).has_value(); })) throw std::runtime_error("no answer came");
  return *reply;
}

std::string Guestd::status() {
  const base::UniqueFd reader = connect_to(socket() + guestd::kStatusSuffix);
  std::string text;
  turn_until([&] {
    char part[4096];
    const ssize_t count = ::recv(reader.get(), part, sizeof part, MSG_DONTWAIT);
    if (count > 0) text.append(part, static_cast<size_t>(count));
    return count == 0;
  });
  return text;
}

}  // namespace vgpu::test
