// The grant segment: one page that a broker and one of its workers share. Every word is written by one side only; no
// lock, no condition, no container crosses the process border. The broker reads the worker's words as hostile: numbers
// for ledgers and displays, never sizes or positions.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/result.hpp"
#include "common/base/unique_fd.hpp"

namespace vgpu::shm {

inline constexpr std::uint32_t kGrantMagic = 0x47504756;  // "VGPG"
inline constexpr std::uint32_t kGrantLayout = 1;
/// A worker whose broker has not beaten for this long runs open.
inline constexpr std::uint64_t kStaleHeartbeatMs = 5000;

/// Devices of one client whose use is told apart.
inline constexpr std::size_t kMostDevices = 16;

/// One device that the client sees. What it is, the worker writes once; what the client holds there, now and then.
struct DeviceWords {
  std::uint8_t uuid[16];
  std::uint32_t pci_domain, pci_bus, pci_device;
  std::uint32_t contexts;         // that the client has on it
  std::uint64_t requested_bytes;  // device memory the client holds there, as it asked for it
  std::uint64_t total_bytes;      // that the device has
  char name[80];
};
static_assert(sizeof(DeviceWords) == 128);

struct GrantSegment {
  // Line 0: set by the broker before the worker starts.
  std::uint32_t magic;
  std::uint32_t layout;
  std::uint64_t client;
  std::uint8_t pad0[48];
  // Line 1: the broker's.
  std::uint32_t grant;  // 1 = open: work may be submitted
  std::uint32_t pad1;
  std::uint64_t heartbeat;  // CLOCK_MONOTONIC in milliseconds, at most about a second old while the broker lives
  std::uint8_t pad2[48];
  // Line 2: the worker's.
  std::uint64_t records;          // records completed since the start
  std::uint64_t submissions;      // launches and copies handed to the driver
  std::uint64_t requested_bytes;  // device memory the client holds, as it asked for it
  std::uint64_t pinned_bytes;     // memory of the window registered with the driver
  std::uint32_t exit_code;        // the exit code it is about to end with, plus 1; 0 while it runs
  std::uint32_t device_count;     // of `devices`; 0 from workers that do not tell them apart
  std::uint8_t pad3[24];
  DeviceWords devices[kMostDevices];  // by the client's numbers for them
  std::uint8_t reserved[4096 - 192 - kMostDevices * sizeof(DeviceWords)];
};
static_assert(sizeof(GrantSegment) == 4096);
static_assert(offsetof(GrantSegment, client) == 8);
static_assert(offsetof(GrantSegment, grant) == 64 && offsetof(GrantSegment, heartbeat) == 72);
static_assert(offsetof(GrantSegment, records) == 128 && offsetof(GrantSegment, pinned_bytes) == 152);
static_assert(offsetof(GrantSegment, exit_code) == 160 && offsetof(GrantSegment, devices) == 192);

/// The worker's words, copied.
struct Usage {
  std::uint64_t records = 0;
  std::uint64_t submissions = 0;
  std::uint64_t requested_bytes = 0;
  std::uint64_t pinned_bytes = 0;
};

/// What a worker says of one device of its client.
struct DeviceUse {
  std::array<std::uint8_t, 16> uuid{};
  std::uint32_t pci_domain = 0, pci_bus = 0, pci_device = 0;
  std::uint64_t total_bytes = 0;
  std::string name;  ///< as it stands there: not fit for a terminal
  std::uint32_t contexts = 0;
  std::uint64_t requested_bytes = 0;
};

struct MappedSegment;  // a Boost.Interprocess mapping, kept out of this header

/// The broker's side. The grant is open from the start.
class GrantWriter {
 public:
  static base::Result<GrantWriter> create(std::uint64_t client, std::uint64_t now_ms);
  /// One that an earlier broker made for this client; an error if it is not what create() makes.
  static base::Result<GrantWriter> adopt(base::UniqueFd descriptor, std::uint64_t client);
  GrantWriter(GrantWriter&&) noexcept;
  GrantWriter& operator=(GrantWriter&&) noexcept;
  ~GrantWriter();

  /// The memory, to be handed to the worker; sealed against shrinking and growing. Stays ours.
  int descriptor() const { return descriptor_.get(); }
  void set_open(bool open);
  void beat(std::uint64_t now_ms);
  Usage usage() const;
  std::vector<DeviceUse> devices() const;
  /// What the worker said that it would exit with; for workers whose exit code nobody else can tell us.
  std::optional<int> exit_code() const;

 private:
  GrantWriter(base::UniqueFd descriptor, std::unique_ptr<MappedSegment> mapping);
  base::UniqueFd descriptor_;
  std::unique_ptr<MappedSegment> mapping_;
};

/// The worker's side.
class GrantReader {
 public:
  /// Maps the segment behind `descriptor`, which may be closed afterwards. Fails if it is not one of our layout.
  static base::Result<GrantReader> map(int descriptor);
  GrantReader(GrantReader&&) noexcept;
  GrantReader& operator=(GrantReader&&) noexcept;
  ~GrantReader();

  /// One relaxed load: the whole cost of an open grant.
  bool is_open() const;
  /// For a closed grant: true if the broker is not heard of any more, so that the worker runs open.
  bool is_stale(std::uint64_t now_ms) const;
  std::uint64_t client() const;
  /// Publishes the worker's words. One thread at a time.
  void publish(const Usage& usage);
  /// Of them only the count of records: one relaxed store.
  void publish_records(std::uint64_t records);
  /// Says once which devices the client sees; those beyond kMostDevices stay unsaid.
  void publish_devices(const std::vector<DeviceUse>& devices);
  /// What the client holds on one of them now.
  void publish_device(std::size_t device, std::uint32_t contexts, std::uint64_t requested_bytes);

 private:
  explicit GrantReader(std::unique_ptr<MappedSegment> mapping);
  std::unique_ptr<MappedSegment> mapping_;
  GrantSegment* segment_;
};

/// The worker's last word: the exit code that it will end with, for a broker that is not its parent. `descriptor` is
/// that of the segment.
void announce_exit(int descriptor, int code);

/// CLOCK_MONOTONIC in milliseconds.
std::uint64_t monotonic_ms();

}  // namespace vgpu::shm
