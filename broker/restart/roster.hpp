// The roster: which clients this broker serves, in a file beside its socket, so that a broker that comes after it knows
// which workers to expect and whom they belong to. What a client or worker says about itself is never taken for that.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "broker/totals.hpp"
#include "broker/vm/pieces.hpp"
#include "broker/vm/vm_name.hpp"
#include "broker/vm/worker_facts.hpp"
#include "common/base/process_identity.hpp"
#include "common/base/result.hpp"

namespace vgpu::broker::restart {

/// Where the channel of a VM's client lies.
struct ChannelPlace {
  std::string vm;
  std::uint32_t channel = 0;
  std::uint64_t memory_size = 0;
  ino_t inode = 0;                // of the VM's memory
  std::vector<vm::Piece> pieces;  // in the order of the channel; the first is the client's window
  bool operator==(const ChannelPlace&) const = default;
};

/// One client and its worker.
struct Entry {
  std::uint64_t id = 0;
  uid_t uid = 0;
  base::ProcessIdentity client;
  base::ProcessIdentity worker;
  std::uint64_t window_size = 0;         // what it had from the start
  std::optional<ChannelPlace> place;     // none: memory of its own
  std::string vm;                        // that it is of without a place; empty: its user's
  std::optional<vm::WorkerFacts> facts;  // once its worker was ready
  std::string vm_name() const { return place ? place->vm : vm.empty() ? vm::vm_name(uid) : vm; }
  bool operator==(const Entry&) const = default;
};

/// What an earlier broker left.
struct Predecessor {
  std::uint64_t next_id = 1;
  std::vector<Entry> entries;
  Totals totals;
};

class Roster {
 public:
  explicit Roster(std::string path) : path_(std::move(path)) {}

  /// Reads what an earlier broker left; nothing if there is no file. An error names file and reason: the file is
  /// damaged, or it is somebody else's (owner or mode), and then nothing in it may be believed.
  base::Result<Predecessor> read() const;

  /// Each change is in the file when the call returns; one that cannot be written is logged, once until it can be
  /// again.
  void add(const Entry& entry, std::uint64_t next_id);
  /// All at once, instead of what was there.
  void replace(const std::vector<Entry>& entries, std::uint64_t next_id);
  void set_facts(std::uint64_t id, const vm::WorkerFacts& facts);
  void remove(std::uint64_t id);
  /// Removes the file: nobody is left to be taken back.
  void discard();

  /// What has been processed goes into the file with the next change, or with save().
  Totals& totals() { return totals_; }
  const Totals& totals() const { return totals_; }
  void save();

 private:
  std::string path_;
  std::uint64_t next_id_ = 1;
  std::map<std::uint64_t, Entry> entries_;
  Totals totals_;
  bool failing_ = false;
};

/// The file's text, and back. For tests and the two above.
std::string to_text(std::uint64_t next_id, const std::map<std::uint64_t, Entry>& entries, const Totals& totals = {});
base::Result<Predecessor> from_text(const std::string& text);

}  // namespace vgpu::broker::restart
