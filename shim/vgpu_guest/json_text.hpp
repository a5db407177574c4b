// JSON as text, written front to back: enough for reports of numbers, words and lists of them.
#pragma once

#include <string>
#include <string_view>
#include <type_traits>

namespace vgpu::guest {

class JsonText {
 public:
  JsonText& begin(std::string_view name = {}) { return open(name, '{'); }
  JsonText& begin_list(std::string_view name = {}) { return open(name, '['); }
  JsonText& end() { return close('}'); }
  JsonText& end_list() { return close(']'); }

  JsonText& add(std::string_view name, std::string_view value);
  JsonText& add(std::string_view name, const char* value) { return add(name, std::string_view(value)); }
  JsonText& add(std::string_view name, bool value) { return put(name, value ? "true" : "false"); }
  template <typename Number>
  requires(std::is_arithmetic_v<Number> && !std::is_same_v<Number, bool>) JsonText& add(std::string_view name,
                                                                                        Number value) {
    return put(name, std::to_string(value));
  }

  const std::string& text() const { return text_; }

 private:
  JsonText& open(std::string_view name, char bracket);
  JsonText& close(char bracket);
  JsonText& put(std::string_view name, std::string_view literal);
  void next(std::string_view name);

  std::string text_;
  bool needs_comma_ = false;
};

}  // namespace vgpu::guest
