// An event that several processes see: two counters in a page that they share. Every record raises `recorded`, and
// `completed` follows when the stream gets there.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "worker/sim/device/foreign_file.hpp"

namespace vgpu::sim::device {

class SharedEvent {
 public:
  /// Null if the system gives no memory, or the other process or its event is gone.
  static std::shared_ptr<SharedEvent> make();
  static std::shared_ptr<SharedEvent> open(const ForeignFile& file);
  ~SharedEvent();
  SharedEvent(const SharedEvent&) = delete;
  SharedEvent& operator=(const SharedEvent&) = delete;

  /// How another process finds it.
  ForeignFile name() const { return ForeignFile::of(file_); }
  /// A record's number; complete() it when its stream got there.
  std::uint64_t record() { return page_->recorded.fetch_add(1) + 1; }
  void complete(std::uint64_t number);
  std::uint64_t last_record() const { return page_->recorded.load(); }
  bool is_complete(std::uint64_t number) const { return page_->completed.load() >= number; }
  /// Returns when it is complete, or when whoever recorded it is taken for dead.
  void wait(std::uint64_t number) const;

 private:
  struct Page {
    std::atomic<std::uint64_t> recorded;
    std::atomic<std::uint64_t> completed;
  };
  SharedEvent(int file, Page* page) : file_(file), page_(page) {}
  static std::shared_ptr<SharedEvent> adopt(int file);

  const int file_;
  Page* const page_;
};

}  // namespace vgpu::sim::device
