// A vector that gives up elements at its front without moving the others each time.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

namespace vgpu::worker {

template <typename T>
class FrontQueue {
 public:
  size_t size() const { return items_.size() - first_; }
  bool empty() const { return items_.size() == first_; }
  T& operator[](size_t index) { return items_[first_ + index]; }
  auto begin() const { return items_.begin() + static_cast<ptrdiff_t>(first_); }
  auto end() const { return items_.end(); }
  auto begin() { return items_.begin() + static_cast<ptrdiff_t>(first_); }
  auto end() { return items_.end(); }

  void push(T item) { items_.push_back(std::move(item)); }
  /// Takes one out: those behind it move up. Cheap at the front, where the room is given back once it is half of all.
  T take(size_t index) {
    T item = std::move((*this)[index]);
    if (index != 0) {
      items_.erase(begin() + static_cast<ptrdiff_t>(index));
      return item;
    }
    ++first_;
    if (first_ < size()) return item;
    items_.erase(items_.begin(), begin());
    first_ = 0;
    return item;
  }

 private:
  std::vector<T> items_;
  size_t first_ = 0;
};

}  // namespace vgpu::worker
