// Result<T>: a value, or an error with a sentence that says what failed and what to do about it.
// Used for failures the caller can act on; assertion stays for our own bugs, exceptions stay inside a folder.
#pragma once

#include <string>
#include <utility>
#include <variant>

namespace vgpu::base {

/// An error: `code` is an errno value, a CUresult or 0, `text` one sentence. Context is put in front on the way up.
struct Error {
  int code = 0;
  std::string text;

  /// The same error, told from one level further up: "context: text".
  [[nodiscard]] Error within(const std::string& context) const { return {code, context + ": " + text}; }
};

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  explicit operator bool() const { return state_.index() == 0; }
  T& value() { return std::get<0>(state_); }
  const T& value() const { return std::get<0>(state_); }
  T& operator*() { return value(); }
  const T& operator*() const { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  const Error& error() const { return std::get<1>(state_); }

 private:
  std::variant<T, Error> state_;
};

/// Success without a value, or an Error.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : failed_(true), error_(std::move(error)) {}

  explicit operator bool() const { return !failed_; }
  const Error& error() const { return error_; }

 private:
  bool failed_ = false;
  Error error_;
};

}  // namespace vgpu::base
