#include "worker/start.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

#include "common/control/exit_class.hpp"
#include "common/control/messages.hpp"
#include "common/control/worker_descriptors.hpp"
#include "worker/dispatch/replies.hpp"
#include "worker/driver/confine.hpp"

namespace vgpu::worker {
namespace {

constexpr uint64_t kGuestReadyMs = 30'000;

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

base::UniqueFd take(int fd) {
  ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  return base::UniqueFd(fd);
}

base::UniqueFd take_if_open(int fd) { return is_open(fd) ? take(fd) : base::UniqueFd(); }

/// What the client wrote into the control page, read once.
struct GuestPlaces {
  uint64_t window_base, arena_base, arena_size;
};

base::Result<GuestPlaces> wait_for_guest(const Inherited& inherited, uint64_t offset) {
  vgpu_control control{};
  for (const uint64_t end = shm::monotonic_ms() + kGuestReadyMs; shm::monotonic_ms() < end;) {
    if (::pread(inherited.window.get(), &control, sizeof control, static_cast<off_t>(offset)) != sizeof control)
      return base::Error{control::kExitUsage, "the window cannot be read"};
    if (control.guest_ready == 1) return GuestPlaces{control.window_base, control.arena_base, control.arena_size};
    constexpr int kStepMs = 1000;  // the client rings the doorbell; the step only bounds a lost ring
    pollfd wait[2] = {{inherited.doorbell.get(), POLLIN, 0}, {inherited.client.get(), POLLIN, 0}};
    const int ready = ::poll(wait, 2, kStepMs);
    if (ready > 0 && wait[1].revents != 0) return base::Error{control::kExitClean, "the client ended before it began"};
    if (ready > 0 && !silence(inherited.doorbell.get()))
      return base::Error{control::kExitUsage, "the doorbell cannot be read"};
  }
  return base::Error{control::kExitProtocolViolation, "the client did not map its window in time"};
}

/// As the broker gave it, or the whole of the window's memory.
base::Result<shm::Place> find_place(int window, shm::Place place) {
  struct stat status {};
  if (::fstat(window, &status) != 0) return base::Error{control::kExitUsage, "the window cannot be examined"};
  const auto memory = static_cast<uint64_t>(status.st_size);
  if (place.size == 0) return shm::Place{0, memory, memory};
  if (place.offset > memory || place.size > memory - place.offset)
    return base::Error{control::kExitUsage, "the channel does not lie in the window's memory"};
  return place;
}

/// Sanitizers keep address ranges of their own for later; a worker built with one runs unconfined.
bool may_confine() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return false;
#else
  return true;
#endif
}

base::Error refuse(const shm::Window& window, CUresult error, std::string text) {
  window.word32(offsetof(vgpu_control, start_error)).store(static_cast<uint32_t>(error), std::memory_order_relaxed);
  window.word32(offsetof(vgpu_control, worker_state)).store(VGPU_WORKER_FAILED, std::memory_order_release);
  wake(window, offsetof(vgpu_control, worker_state));
  return {control::kExitNoDriver, std::move(text)};
}

base::Result<DriverLibrary> open_and_initialise(const shm::Window& window, const Options& options) {
  auto driver = open_driver(options.driver);
  if (!driver) return refuse(window, CUDA_ERROR_NO_DEVICE, driver.error().text);
  const CUresult initialised = driver->functions.cuInit(0);
  if (initialised != CUDA_SUCCESS)
    return refuse(window, initialised,
                  fmt::format("cuInit of {} failed with error {}", driver->path, static_cast<int>(initialised)));
  // For life: a relaxed thread may do nearly everything beside anybody's capture (measured); the guest keeps the rules
  // of its own threads.
  unsigned mode = CU_STREAM_CAPTURE_MODE_RELAXED;
  if (driver->functions.cuThreadExchangeStreamCaptureMode != nullptr)
    driver->functions.cuThreadExchangeStreamCaptureMode(&mode);
  return driver;
}

std::vector<shm::DeviceUse> devices_of(const DriverTable& driver) {
  int count = 0;
  driver.cuDeviceGetCount(&count);
  std::vector<shm::DeviceUse> devices;
  for (CUdevice device = 0; device < count; ++device) {
    shm::DeviceUse& use = devices.emplace_back();
    CUuuid uuid{};
    const auto identify = driver.cuDeviceGetUuid_v2 != nullptr ? driver.cuDeviceGetUuid_v2 : driver.cuDeviceGetUuid;
    if (identify(&uuid, device) == CUDA_SUCCESS) std::memcpy(use.uuid.data(), uuid.bytes, use.uuid.size());
    const auto number = [&](unsigned attribute) {
      int value = 0;
      return driver.cuDeviceGetAttribute(&value, attribute, device) == CUDA_SUCCESS ? static_cast<uint32_t>(value) : 0;
    };
    use.pci_domain = number(CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID);
    use.pci_bus = number(CU_DEVICE_ATTRIBUTE_PCI_BUS_ID);
    use.pci_device = number(CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID);
    size_t total = 0;
    if (driver.cuDeviceTotalMem_v2(&total, device) == CUDA_SUCCESS) use.total_bytes = total;
    char name[sizeof shm::DeviceWords::name] = {};
    driver.cuDeviceGetName(name, sizeof name - 1, device);
    use.name = name;
  }
  return devices;
}

}  // namespace

base::Result<Inherited> take_inherited() {
  for (int fd = control::kWindowDescriptor; fd <= control::kControlDescriptor; ++fd) {
    if (!is_open(fd))
      return base::Error{control::kExitUsage,
                         fmt::format("descriptor {} is not open: vgpu-worker is started by vgpu-broker", fd)};
  }
  Inherited inherited{take(control::kWindowDescriptor),
                      take(control::kDoorbellDescriptor),
                      take(control::kGrantDescriptor),
                      take(control::kControlDescriptor),
                      take_if_open(control::kClientDescriptor),
                      take_if_open(control::kBrokersControlDescriptor),
                      take_if_open(control::kBrokersConnectionDescriptor)};
  return inherited;
}

base::Result<base::UniqueFd> take_legacy_control() {
  if (is_open(control::kLegacyControlDescriptor)) return take(control::kLegacyControlDescriptor);
  return base::Error{control::kExitUsage, "its control socket is not open: vgpu-worker is started by vgpu-broker"};
}

void outlive_the_broker() {
  ::signal(SIGPIPE, SIG_IGN);
  // What tells the broker something may be sent to all processes of its service; to us it means nothing.
  for (const int number : {SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2}) ::signal(number, SIG_IGN);
  // Where Yama restricts ptrace, and with it pidfd_getfd(), to ancestors: the next broker is none. A privileged broker
  // needs no such permission.
  if (::geteuid() != 0) ::prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
}

base::Result<std::unique_ptr<Session>> start_session(const Options& options, Inherited& inherited) {
  const auto places = wait_for_guest(inherited, options.place.offset);
  if (!places) return places.error();
  const auto place = find_place(inherited.window.get(), options.place);
  if (!place) return place.error();
  auto window = shm::Window::map_at(inherited.window.get(), *place, places->window_base);
  if (!window) {
    const bool ours = window.error().code == ENOMEM;
    return base::Error{ours ? control::kExitInternal : control::kExitProtocolViolation, window.error().text};
  }
  if (may_confine() && places->arena_size != 0) {
    const auto confined = confine_driver(places->arena_base, places->arena_size);
    if (!confined) return base::Error{control::kExitProtocolViolation, confined.error().text};
  }
  auto grant = shm::GrantReader::map(inherited.segment.get());
  if (!grant) return base::Error{control::kExitUsage, grant.error().text};
  auto driver = open_and_initialise(*window, options);
  if (!driver) return driver.error();
  log::debug("client {} of VM {}: driver {}{}", options.client, options.vm, driver->path,
             driver->is_software ? " (software GPU: a trial, not a GPU)" : "");
  auto session = std::make_unique<Session>(std::move(*window), std::move(*driver),
                                           Doorbell{std::move(inherited.doorbell), std::move(inherited.client)},
                                           std::move(*grant));
  session->dispatcher().trace(options.client);
  session->dispatcher().announce_devices(devices_of(session->driver()));
  const auto captured = session->console().capture_standard_streams();
  if (!captured) log::warning("{}: device printf goes to the log", captured.error().text);
  return session;
}

control::WorkerReady readiness(Session& session) {
  const DriverTable& driver = session.driver();
  control::WorkerReady ready;
  int version = 0, count = 0;
  CUdevice device = 0;
  char name[128] = {};
  driver.cuDriverGetVersion(&version);
  driver.cuDeviceGetCount(&count);
  if (count > 0 && driver.cuDeviceGet(&device, 0) == CUDA_SUCCESS)
    driver.cuDeviceGetName(name, sizeof name - 1, device);
  ready.driver_version = version;
  ready.device_count = static_cast<uint32_t>(count);
  control::set_text(ready.device_name, name);
  control::set_text(ready.driver, session.library().path);
  return ready;
}

}  // namespace vgpu::worker
