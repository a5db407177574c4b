#include "broker/legacy/desk.hpp"

#include <algorithm>
#include <cstring>

namespace vgpu::broker::legacy {
namespace {

constexpr unsigned kSecondsAtOnce = 10;

/// What the broker itself answers with.
struct Refusal {
  explicit Refusal(std::uint32_t error) {
    vgpu_legacy_answer answer{};
    answer.version = VGPU_LEGACY_VERSION;
    answer.status = error;
    std::memcpy(bytes.data(), &answer, sizeof answer);
  }
  std::array<std::uint8_t, sizeof(vgpu_legacy_answer)> bytes{};
};

vgpu_legacy_request pack(const Request& request, std::uint32_t number) {
  vgpu_legacy_request message{};
  message.request_id = number;
  message.length = static_cast<std::uint32_t>(request.length);
  std::copy(request.payload.begin(), request.payload.end(), message.payload);
  return message;
}

const char* cause_of(std::uint32_t error) {
  switch (error) {
    case VGPU_LEGACY_REQUEST_TOO_LARGE:
      return "it is longer than 1024 bytes";
    case VGPU_LEGACY_INVALID_POOL:
      return "its pool is neither A nor B";
    case VGPU_LEGACY_QUEUE_FULL:
      return "too many wait already";
    case VGPU_LEGACY_UNSUPPORTED:
      return "the old CUDA messages are not served: the guest needs the present shim";
    case VGPU_LEGACY_RATE_LIMITED:
      return "more come than legacy_rate allows";
    case VGPU_LEGACY_QUARANTINED:
      return "the VM is in quarantine: vgpu-admin release ends it";
    default:
      return "the broker is ending";
  }
}

}  // namespace

const char* error_name(std::uint32_t error) {
  static constexpr std::array kNames = {"OK",          "INVALID_REQUEST", "REQUEST_TOO_LARGE", "MEDIATOR_UNAVAILABLE",
                                        "TIMEOUT",     "CUDA_ERROR",      "INVALID_POOL",      "QUEUE_FULL",
                                        "UNSUPPORTED", "INVALID_LENGTH",  "RATE_LIMITED",      "QUARANTINED"};
  return error < kNames.size() ? kNames[error] : "UNKNOWN";
}

Desk::Desk(event::Loop& loop, DeskSettings settings, Computer& computer, Tenant tenant, LogLimiter& limiter)
    : settings_(std::move(settings)),
      log_key_("legacy requests of VM " + settings_.vm),
      computer_(computer),
      tenant_(std::move(tenant)),
      limiter_(limiter),
      rate_(settings_.rate * kSecondsAtOnce, settings_.rate, Clock::now()),
      deadline_(loop),
      restart_(loop),
      rest_(loop) {}

void Desk::take(Request request, Asker& asker) {
  if (const auto error = find_fault(request); error != VGPU_LEGACY_OK)
    return refuse(request, &asker, error, cause_of(error));
  rest_.cancel();
  queue_.push_back({std::move(request), &asker, Clock::now() + settings_.timeout});
  if (queue_.size() == 1) arm();
  proceed();
}

void Desk::refuse_old_cuda(const Request& request, Asker& asker) {
  auto error = find_fault(request);
  if (error == VGPU_LEGACY_OK || error == VGPU_LEGACY_REQUEST_TOO_LARGE) error = VGPU_LEGACY_UNSUPPORTED;
  refuse(request, &asker, error, cause_of(error));
}

/// Cheap ones first; each has one cause.
std::uint32_t Desk::find_fault(const Request& request) {
  if (is_closed_) return VGPU_LEGACY_MEDIATOR_UNAVAILABLE;
  if (tenant_.is_quarantined()) return VGPU_LEGACY_QUARANTINED;
  if (!rate_.take(Clock::now())) return VGPU_LEGACY_RATE_LIMITED;
  if (request.pool != 'A' && request.pool != 'B') return VGPU_LEGACY_INVALID_POOL;
  if (request.length > VGPU_LEGACY_BUFFER_SIZE) return VGPU_LEGACY_REQUEST_TOO_LARGE;
  if (queue_.size() > settings_.longest_queue) return VGPU_LEGACY_QUEUE_FULL;  // the first does not wait
  return VGPU_LEGACY_OK;
}

void Desk::forget(const Asker& asker) {
  for (auto& entry : queue_)
    if (entry.asker == &asker) entry.asker = nullptr;
  // The one that is being computed stays: its result is still to come.
  const auto first = queue_.begin() + (is_computing_ ? 1 : 0);
  queue_.erase(std::remove_if(first, queue_.end(), [](const Entry& entry) { return entry.asker == nullptr; }),
               queue_.end());
  arm();
}

void Desk::drop_all() {
  is_computing_ = is_ending_ = has_failed_ = false;
  while (!queue_.empty()) finish(VGPU_LEGACY_MEDIATOR_UNAVAILABLE, cause_of(VGPU_LEGACY_MEDIATOR_UNAVAILABLE));
  restart_.cancel();
  rest_.cancel();
}

void Desk::close() {
  is_closed_ = true;
  drop_all();
}

void Desk::proceed() {
  while (!queue_.empty() && !is_computing_ && !is_ending_ && !restart_.is_running()) {
    if (tenant_.is_quarantined())
      finish(VGPU_LEGACY_QUARANTINED, cause_of(VGPU_LEGACY_QUARANTINED));
    else
      begin(queue_.front().request);
  }
  if (!queue_.empty() || is_closed_ || !computer_.is_running() || is_ending_) return;
  rest_.start(settings_.rest_after, [this] { let_go(/*has_failed=*/false); });
}

void Desk::let_go(bool has_failed) {
  is_ending_ = true;
  has_failed_ = has_failed;
  computer_.rest();
}

void Desk::begin(const Request& request) {
  const auto begun = computer_.compute(pack(request, ++number_));
  is_computing_ = static_cast<bool>(begun);
  if (!begun) finish(VGPU_LEGACY_MEDIATOR_UNAVAILABLE, begun.error().text);
}

void Desk::on_result(const control::LegacyResult& result) {
  if (!is_computing_ || result.request_id != number_) return;  // of one that is answered already
  is_computing_ = false;
  const bool is_sane = result.error < counters_.by_error.size() && result.length >= sizeof(vgpu_legacy_answer) &&
                       result.length <= result.payload.size();
  if (is_sane)
    finish(result.error, control::get_text(result.came), &result);
  else
    finish(VGPU_LEGACY_CUDA_ERROR, "the worker answered nonsense");
  // After a CUDA error it ends by itself: nothing more is sent to it.
  if (!is_sane || result.error == VGPU_LEGACY_CUDA_ERROR) let_go(/*has_failed=*/true);
  proceed();
}

void Desk::on_end(const std::string& how) {
  const bool has_failed = !std::exchange(is_ending_, false) || has_failed_;
  has_failed_ = false;
  if (has_failed && !is_closed_) restart_.start(settings_.restart_delay, [this] { proceed(); });
  if (std::exchange(is_computing_, false)) finish(VGPU_LEGACY_CUDA_ERROR, "the worker ended: " + how);
  proceed();
}

// A worker that is let go, or does not die, makes others wait, but no longer than their time.
void Desk::on_deadline() {
  const auto now = Clock::now();
  while (!queue_.empty() && queue_.front().deadline <= now) {
    if (std::exchange(is_computing_, false)) {
      is_ending_ = true;
      computer_.kill();
      finish(VGPU_LEGACY_TIMEOUT,
             fmt::format("no answer within {} ms; its worker is ended", settings_.timeout.count()));
    } else {
      finish(VGPU_LEGACY_TIMEOUT, fmt::format("its turn did not come within {} ms", settings_.timeout.count()));
    }
  }
  proceed();
}

void Desk::arm() {
  if (queue_.empty()) return deadline_.cancel();
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(queue_.front().deadline - Clock::now());
  deadline_.start(std::max(left, std::chrono::milliseconds(0)), [this] { on_deadline(); });
}

void Desk::finish(std::uint32_t error, const std::string& text, const control::LegacyResult* result) {
  const auto [request, asker, deadline] = std::move(queue_.front());
  queue_.pop_front();
  arm();
  if (result == nullptr) return refuse(request, asker, error, text);
  ++counters_.by_error[error];
  write_lines(request, error, control::get_text(result->asked), text);
  if (asker != nullptr) asker->on_answer(request, {error, std::span(result->payload).first(result->length)});
}

void Desk::refuse(const Request& request, Asker* asker, std::uint32_t error, const std::string& text) {
  ++counters_.by_error[error];
  write_lines(request, error, fmt::format("{} bytes", request.length), text);
  const Refusal refusal(error);
  if (asker != nullptr) asker->on_answer(request, {error, refusal.bytes});
}

/// In the field's wording. What was asked for only the worker can tell: so both are written at the end, and both or
/// none.
void Desk::write_lines(const Request& request, std::uint32_t error, const std::string& asked, const std::string& came) {
  const auto standing = tenant_.standing();
  const bool is_told =
      limiter_.write(log::Level::info, log_key_, "[ENQUEUE] Pool {}: vm={}, req_id={}, prio={}, {} (VM {})",
                     standing.pool, request.vm_id, request.id, standing.priority, asked, settings_.vm);
  const auto result = fmt::format("[RESULT] vm={}, req_id={}: ", request.vm_id, request.id);
  if (error == VGPU_LEGACY_OK) {
    if (is_told) log::info("{}{} (VM {})", result, came, settings_.vm);
    return;
  }
  const auto failure = fmt::format("{}error {} ({}): {} (VM {})", result, error, error_name(error), came, settings_.vm);
  if (is_told)
    log::warning("{}", failure);
  else
    limiter_.write(log::Level::warning, log_key_, "{}", failure);
}

}  // namespace vgpu::broker::legacy
