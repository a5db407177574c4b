// The PCI device between a guest that writes anything anywhere and a broker that says anything at any time: see
// tests/unit/stub for front and broker.
//
// Input: steps of a kind (low five bits of a byte) and what it needs. The highest bit says that the device does not get
// its turn before the next step, so that messages pile up.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>

#include "common/abi/device_registers.h"
#include "tests/fuzz/input.hpp"
#include "tests/unit/stub/fake_broker.hpp"
#include "tests/unit/stub/fake_front.hpp"

namespace {

using namespace vgpu::stub;
using vgpu::fuzz::Input;

constexpr std::uint64_t kWindowSize = UINT64_C(64) << 20;
constexpr unsigned kChannels = 4;  // few, so that an input meets the same one again
constexpr std::size_t kMostSteps = 100;
constexpr std::uint64_t kTimes[] = {1, 200, 600, 2000, 5000};

/// Registers whose right offset is hard to guess.
constexpr std::uint32_t kRegisters[] = {VGPU_LEGACY_DOORBELL, VGPU_LEGACY_REQUEST_LEN,
                                        VGPU_LEGACY_IRQ_CTRL, VGPU_LEGACY_REQUEST,
                                        VGPU_REG_COMMAND,     VGPU_REG_ARGUMENT,
                                        VGPU_REQUEST_BUFFER,  VGPU_REG_LINK_TEXT,
                                        VGPU_CHANNEL_PAGES,   VGPU_CHANNEL_PAGES + VGPU_CHANNEL_PAGE_SIZE};

void hold(bool is_true) {
  if (!is_true) std::abort();
}

/// The number that the next descriptor would get: the same before and after, or one was lost.
int next_fd() {
  const int probe = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  ::close(probe);
  return probe;
}

class Run {
 public:
  Run(FakeBroker& broker, Input& input) : broker_(broker), input_(input) {
    const auto path = broker.path();
    vgpu_core_config config{};
    config.socket = path.c_str();
    config.window_size = kWindowSize;
    config.pool = 'A';
    config.channels = kChannels;
    core_ = vgpu_core_new(&config, &FakeFront::functions(), &front_, nullptr, 0);
    hold(core_ != nullptr);
    vgpu_core_start(core_);
  }

  ~Run() {
    vgpu_core_free(core_);
    hold(front_.watched.empty() && front_.doorbells.empty() && front_.window == 0 && front_.timer == 0);
    hold(front_.broken_rule.empty());
    broker_.hang_up();
  }

  void go() {
    for (std::size_t steps = 0; !input_.empty() && steps < kMostSteps; ++steps) {
      const auto kind = input_.byte();
      step(kind & 0x1f);
      if ((kind & 0x80) == 0) front_.pump(core_);
      check();
    }
  }

 private:
  std::uint32_t read(std::uint64_t offset) { return static_cast<std::uint32_t>(vgpu_core_bar0_read(core_, offset, 4)); }
  void write(std::uint64_t offset, std::uint32_t value) { vgpu_core_bar0_write(core_, offset, value, 4); }
  std::uint32_t half() { return static_cast<std::uint32_t>(input_.byte() | input_.byte() << 8); }

  void step(unsigned kind) {
    switch (kind) {
      case 0:
        return access();
      case 1:
        return write(kRegisters[input_.byte() % std::size(kRegisters)], half());
      case 2:
        return vgpu_core_reset(core_);
      case 3:
        return front_.pass(core_, kTimes[input_.byte() % std::size(kTimes)]);
      case 4:
        return send_link();
      case 5:
        return send_opened();
      case 6:
        return send_closed();
      case 7:
        return send_legacy();
      case 8:
        return send_anything();
      case 9:
        return broker_life();
      case 10:
        return (void)broker_.receive_all();
      case 11:
        return end_worker();
      case 12:
        write(VGPU_REG_ARGUMENT, VGPU_MAILBOX_SIZE);
        return write(VGPU_REG_COMMAND, VGPU_COMMAND_OPEN);
      case 13:
        return write(VGPU_REG_COMMAND, VGPU_COMMAND_CLOSE | input_.byte() << VGPU_COMMAND_CHANNEL_SHIFT);
      case 14:
        front_.takes_doorbells = (input_.byte() & 1) != 0;
        return;
      case 15:
        front_.attach_window_error = (input_.byte() & 1) != 0 ? ENOMEM : 0;
        return;
      case 16:
        vgpu_core_on_timer(core_);
        return vgpu_core_on_ready(core_, input_.byte() % 32);  // events that are not there
      default:
        write(VGPU_LEGACY_REQUEST_LEN, 36);
        return write(VGPU_LEGACY_DOORBELL, 1);
    }
  }

  void access() {
    const auto how = input_.byte();
    std::uint64_t offset = half() | std::uint64_t{input_.byte()} << 16;
    if ((how & 0x20) != 0) offset = offset % 0x6000 & ~UINT64_C(3);
    if ((how & 0x40) != 0) offset = ~offset;
    if ((how & 0x80) != 0)
      vgpu_core_bar0_write(core_, offset, input_.word(), how & 0xf);
    else
      (void)vgpu_core_bar0_read(core_, offset, how & 0xf);
  }

  void send_link() {
    const auto how = input_.byte();
    vgpu_link link{};
    link.chosen_major = VGPU_LINK_MAJOR;
    link.window_size = kWindowSize;
    link.channels = 1 + how % 4;
    link.kept = (how & 4) != 0 ? 1 : 0;
    link.broker_pid = 1;
    if ((how & 8) != 0) link.open[0] = input_.byte();
    if ((how & 16) != 0) link.status = input_.byte();
    if ((how & 32) != 0) std::ranges::copy(input_.take(sizeof link.text), link.text);
    if ((how & 64) != 0) spoil(link);
    const std::array window{window_.get()};
    broker_.send(link, VGPU_LINK, (link.kept == 0) != ((how & 128) != 0) ? std::span<const int>(window) : none_);
  }

  void send_opened() {
    const auto how = input_.byte();
    vgpu_opened opened{};
    opened.channel = how & 3;
    opened.window_offset = (how & 3) * UINT64_C(0x200000);
    opened.status = (how & 4) != 0 ? 1 : 0;
    if ((how & 8) != 0) spoil(opened);
    const std::array fds{(how & 16) != 0 ? window_.get() : doorbell_.get(), worker_.get()};
    broker_.send(opened, VGPU_OPENED, (opened.status == 0) != ((how & 128) != 0) ? std::span<const int>(fds) : none_);
  }

  void send_closed() {
    const auto how = input_.byte();
    vgpu_closed closed{};
    closed.channel = how & 3;
    closed.released = (how & 4) != 0 ? 1 : 0;
    closed.exit_class = how >> 4;
    if ((how & 8) != 0) spoil(closed);
    broker_.send(closed, VGPU_CLOSED);
  }

  void send_legacy() {
    const auto how = input_.byte();
    vgpu_legacy_response response{};
    response.request_id = how & 7;
    response.error = how >> 4;
    response.length = half() % 1100;
    if ((how & 8) != 0) spoil(response);
    broker_.send(response, VGPU_LEGACY_RESP);
  }

  /// One byte of the message, at a place of the input's choice.
  template <typename Message>
  void spoil(Message& message) {
    const auto place = half() % sizeof message;
    reinterpret_cast<std::uint8_t*>(&message)[place] ^= input_.byte();
  }

  void send_anything() {
    const auto how = input_.byte();
    const std::array fds{doorbell_.get(), worker_.get(), window_.get(), window_.get()};
    const auto bytes = input_.take(input_.byte());
    if (!broker_.has_stub()) return;
    broker_.send_raw(std::as_bytes(bytes), std::span(fds).first(how % 5));
  }

  void broker_life() {
    switch (input_.byte() % 4) {
      case 0:
        return broker_.hang_up();
      case 1:
        return broker_.die();
      case 2:
        return broker_.listen();
      default:
        broker_.accept();
    }
  }

  void end_worker() {
    const std::uint64_t one = 1;
    hold(::write(worker_.get(), &one, sizeof one) == sizeof one);
    front_.pump(core_);
    std::uint64_t count = 0;
    hold(::read(worker_.get(), &count, sizeof count) == sizeof count);
  }

  void check() {
    hold(front_.broken_rule.empty());
    const auto mistakes = vgpu_core_mistakes(core_);
    hold(mistakes >= mistakes_ && mistakes <= mistakes_ + 2);
    mistakes_ = mistakes;
    hold(front_.lines.size() <= (VGPU_CORE_LINK_LINES + VGPU_CORE_MISTAKE_LINES) * (2 + front_.now / 60000));
    check_link();
    check_channels();
    hold(vgpu_core_mistakes(core_) == mistakes_);
  }

  void check_link() {
    const bool is_up = read(VGPU_REG_LINK) == VGPU_LINK_UP;
    hold(is_up == (vgpu_core_link(core_) == VGPU_LINK_UP));
    hold(is_up == (read(VGPU_REG_CHANNELS) != 0));
    hold(!is_up || front_.window != 0);
    hold(is_up || read(VGPU_REG_STATUS) != VGPU_COMMAND_BUSY);
    hold(is_up || read(VGPU_LEGACY_STATUS) != VGPU_LEGACY_BUSY);
    hold(read(VGPU_LEGACY_STATUS) != VGPU_LEGACY_BUSY || front_.timer != 0);
    hold(!front_.watched.empty() || front_.timer != 0);  // something brings the device on
  }

  void check_channels() {
    unsigned moving = 0;
    for (unsigned i = 0; i <= kChannels; ++i) {
      const auto state = read(VGPU_CHANNEL_TABLE + i * VGPU_CHANNEL_ENTRY);
      hold(state == read(VGPU_CHANNEL_PAGES + i * VGPU_CHANNEL_PAGE_SIZE + VGPU_PAGE_STATE));
      hold(state == VGPU_CHANNEL_FREE || i < kChannels);
      if (state == VGPU_CHANNEL_OPENING || state == VGPU_CHANNEL_CLOSING) ++moving;
      if (state == VGPU_CHANNEL_FREE || state == VGPU_CHANNEL_OPENING) hold(!front_.doorbells.contains(i));
    }
    hold(moving == (read(VGPU_REG_STATUS) == VGPU_COMMAND_BUSY ? 1 : 0));
  }

  static const UniqueFd window_, doorbell_, worker_;
  const std::span<const int> none_;
  FakeBroker& broker_;
  Input& input_;
  FakeFront front_;
  vgpu_core* core_ = nullptr;
  std::uint64_t mistakes_ = 0;
};

const UniqueFd Run::window_ = make_window(kWindowSize);
const UniqueFd Run::doorbell_ = make_doorbell();
const UniqueFd Run::worker_ = make_doorbell();

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static FakeBroker broker;
  broker.die();
  const int before = next_fd();
  broker.listen();
  Input input(data, size);
  Run(broker, input).go();
  broker.die();
  hold(next_fd() == before);
  return 0;
}
