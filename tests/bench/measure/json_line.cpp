// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/measure/json_line.hpp"

#include <cmath>
#include <cstdio>

namespace bench {
namespace {

void append_text(std::string& to, std::string_view text) {
  to += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') to += '\\';
    to += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  to += '"';
}

void append_number(std::string& to, double number) {
  char digits[32];
  std::snprintf(digits, sizeof digits, "%.9g", std::isfinite(number) ? number : 0.0);
  to += digits;
}

}  // namespace

void JsonLine::begin(std::string_view name) {
  if (text_.size() > 1) text_ += ", ";
  append_text(text_, name);
  text_ += ": ";
}

JsonLine& JsonLine::put(std::string_view name, std::string_view text) {
  begin(name);
  append_text(text_, text);
  return *this;
}

JsonLine& JsonLine::put(std::string_view name, double number) {
  begin(name);
  append_number(text_, number);
  return *this;
}

JsonLine& JsonLine::put(std::string_view name, const std::vector<double>& numbers) {
  begin(name);
  text_ += '[';
  for (size_t i = 0; i < numbers.size(); ++i) {
    if (i != 0) text_ += ", ";
    append_number(text_, numbers[i]);
  }
  text_ += ']';
  return *this;
}

JsonLine& JsonLine::put(const Repetitions& repetitions) {
  const Summary all = repetitions.all();
  put("samples", static_cast<double>(all.count)).put("least", all.least).put("median", all.median);
  return put("p99", all.p99).put("most", all.most).put("repetitions", repetitions.medians());
}

void JsonLine::print() const {
  std::printf("%s}\n", text_.c_str());
  std::fflush(stdout);
}

}  // namespace bench
