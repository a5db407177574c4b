#include "common/shm/segment.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <boost/interprocess/mapped_region.hpp>
#include <cerrno>
#include <system_error>

namespace vgpu::shm {

namespace ipc = boost::interprocess;

struct MappedSegment {
  ipc::mapped_region region;
  GrantSegment* words() const { return static_cast<GrantSegment*>(region.get_address()); }
};

namespace {

using base::Error;
using base::UniqueFd;

/// What mapped_region wants of something mappable, for a descriptor that somebody else owns.
struct Mappable {
  int descriptor;
  ipc::mapping_handle_t get_mapping_handle() const { return {descriptor, false}; }
  ipc::mode_t get_mode() const { return ipc::read_write; }
};

Error os_error(const char* what) {
  const int code = errno;
  return {code, std::string("grant segment: ") + what + ": " + std::generic_category().message(code)};
}

base::Result<std::unique_ptr<MappedSegment>> map_segment(int descriptor) try {
  auto mapped = std::make_unique<MappedSegment>();
  mapped->region = ipc::mapped_region(Mappable{descriptor}, ipc::read_write, 0, sizeof(GrantSegment));
  return mapped;
} catch (const ipc::interprocess_exception& failure) {
  return Error{failure.get_native_error(), std::string("grant segment: cannot map it: ") + failure.what()};
}

// Words cross a process border: relaxed atomic access, so that neither compiler nor processor tears or caches them.
template <typename T>
void store(T& word, T value) {
  std::atomic_ref<T>(word).store(value, std::memory_order_relaxed);
}
template <typename T>
T load(T& word) {
  return std::atomic_ref<T>(word).load(std::memory_order_relaxed);
}

}  // namespace

std::uint64_t monotonic_ms() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1000 + static_cast<std::uint64_t>(now.tv_nsec) / 1'000'000;
}

GrantWriter::GrantWriter(UniqueFd descriptor, std::unique_ptr<MappedSegment> mapping)
    : descriptor_(std::move(descriptor)), mapping_(std::move(mapping)) {}
GrantWriter::GrantWriter(GrantWriter&&) noexcept = default;
GrantWriter& GrantWriter::operator=(GrantWriter&&) noexcept = default;
GrantWriter::~GrantWriter() = default;

base::Result<GrantWriter> GrantWriter::create(std::uint64_t client, std::uint64_t now_ms) {
  UniqueFd memory(memfd_create("vgpu-grant", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memory) return os_error("memfd_create");
  if (ftruncate(memory.get(), sizeof(GrantSegment)) != 0) return os_error("ftruncate");
  // Shrunk by a worker that went wrong, it would kill the broker at its next access.
  if (fcntl(memory.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) return os_error("sealing");
  auto mapping = map_segment(memory.get());
  if (!mapping) return mapping.error();
  auto& words = *(*mapping)->words();
  words.magic = kGrantMagic;
  words.layout = kGrantLayout;
  words.client = client;
  store(words.heartbeat, now_ms);
  store(words.grant, 1u);
  return GrantWriter(std::move(memory), std::move(*mapping));
}

base::Result<GrantWriter> GrantWriter::adopt(UniqueFd descriptor, std::uint64_t client) {
  struct stat status {};
  if (fstat(descriptor.get(), &status) != 0) return os_error("fstat");
  constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW;
  const int seals = fcntl(descriptor.get(), F_GET_SEALS);
  if (seals < 0 || (seals & kSeals) != kSeals || status.st_size != sizeof(GrantSegment))
    return Error{EINVAL, "grant segment: it is not one that a broker made"};
  auto mapping = map_segment(descriptor.get());
  if (!mapping) return mapping.error();
  auto& words = *(*mapping)->words();
  if (load(words.magic) != kGrantMagic || load(words.layout) != kGrantLayout || load(words.client) != client)
    return Error{EINVAL, "grant segment: another client's, or of another layout than ours"};
  return GrantWriter(std::move(descriptor), std::move(*mapping));
}

void GrantWriter::set_open(bool open) { store(mapping_->words()->grant, open ? 1u : 0u); }
void GrantWriter::beat(std::uint64_t now_ms) { store(mapping_->words()->heartbeat, now_ms); }

Usage GrantWriter::usage() const {
  auto& words = *mapping_->words();
  return {load(words.records), load(words.submissions), load(words.requested_bytes), load(words.pinned_bytes)};
}

std::vector<DeviceUse> GrantWriter::devices() const {
  auto& words = *mapping_->words();
  std::vector<DeviceUse> devices(std::min<std::size_t>(load(words.device_count), kMostDevices));
  for (std::size_t i = 0; i < devices.size(); ++i) {
    // Hostile as it may be: bytes are copied, and nothing is taken for a size.
    DeviceWords& from = words.devices[i];
    DeviceUse& to = devices[i];
    for (std::size_t byte = 0; byte < to.uuid.size(); ++byte) to.uuid[byte] = load(from.uuid[byte]);
    to.pci_domain = load(from.pci_domain);
    to.pci_bus = load(from.pci_bus);
    to.pci_device = load(from.pci_device);
    to.total_bytes = load(from.total_bytes);
    for (char& letter : from.name) {
      const char copied = load(letter);
      if (copied == '\0') break;
      to.name += copied;
    }
    to.contexts = load(from.contexts);
    to.requested_bytes = load(from.requested_bytes);
  }
  return devices;
}

std::optional<int> GrantWriter::exit_code() const {
  const auto word = load(mapping_->words()->exit_code);
  if (word == 0) return std::nullopt;
  return static_cast<int>(word - 1) & 0xff;
}

void announce_exit(int descriptor, int code) {
  const auto word = static_cast<std::uint32_t>(code) + 1;
  // It fails only for what is no segment of ours, and then nobody reads it.
  [[maybe_unused]] const auto written =
      pwrite(descriptor, &word, sizeof word, static_cast<off_t>(offsetof(GrantSegment, exit_code)));
}

GrantReader::GrantReader(std::unique_ptr<MappedSegment> mapping)
    : mapping_(std::move(mapping)), segment_(mapping_->words()) {}
GrantReader::GrantReader(GrantReader&&) noexcept = default;
GrantReader& GrantReader::operator=(GrantReader&&) noexcept = default;
GrantReader::~GrantReader() = default;

base::Result<GrantReader> GrantReader::map(int descriptor) {
  struct stat status {};
  if (fstat(descriptor, &status) != 0) return os_error("fstat");
  if (status.st_size != sizeof(GrantSegment)) return Error{EINVAL, "grant segment: it has another size than ours"};
  auto mapping = map_segment(descriptor);
  if (!mapping) return mapping.error();
  const auto& words = *(*mapping)->words();
  if (words.magic != kGrantMagic || words.layout != kGrantLayout)
    return Error{EINVAL, "grant segment: another layout than ours; broker and worker are of different builds"};
  return GrantReader(std::move(*mapping));
}

bool GrantReader::is_open() const { return load(segment_->grant) == 1; }
bool GrantReader::is_stale(std::uint64_t now_ms) const {
  return now_ms > load(segment_->heartbeat) + kStaleHeartbeatMs;
}
std::uint64_t GrantReader::client() const { return segment_->client; }

void GrantReader::publish(const Usage& usage) {
  store(segment_->records, usage.records);
  store(segment_->submissions, usage.submissions);
  store(segment_->requested_bytes, usage.requested_bytes);
  store(segment_->pinned_bytes, usage.pinned_bytes);
}

void GrantReader::publish_records(std::uint64_t records) { store(segment_->records, records); }

void GrantReader::publish_devices(const std::vector<DeviceUse>& devices) {
  const std::size_t count = std::min(devices.size(), kMostDevices);
  for (std::size_t i = 0; i < count; ++i) {
    DeviceWords& to = segment_->devices[i];
    const DeviceUse& from = devices[i];
    std::copy(from.uuid.begin(), from.uuid.end(), to.uuid);
    to.pci_domain = from.pci_domain;
    to.pci_bus = from.pci_bus;
    to.pci_device = from.pci_device;
    to.total_bytes = from.total_bytes;
    from.name.copy(to.name, sizeof to.name - 1);
  }
  store(segment_->device_count, static_cast<std::uint32_t>(count));
}

void GrantReader::publish_device(std::size_t device, std::uint32_t contexts, std::uint64_t requested_bytes) {
  if (device >= kMostDevices) return;
  store(segment_->devices[device].contexts, contexts);
  store(segment_->devices[device].requested_bytes, requested_bytes);
}

}  // namespace vgpu::shm
