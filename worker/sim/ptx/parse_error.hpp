// The exception with which the parser leaves its depths; it never leaves this folder.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "worker/sim/ptx/parser.hpp"

namespace vgpu::sim::ptx {

struct ParseError {
  std::string text;
  int code = invalid_ptx;
};

/// Words of the input are cut to this length in messages: the input is hostile and the log is bounded.
constexpr std::size_t max_quoted = 80;

inline std::string quoted(std::string_view word) {
  std::string out;
  for (const char c : word.substr(0, max_quoted)) out += c >= ' ' && c < 127 ? c : '?';
  return out;
}

[[noreturn]] inline void fail(std::uint32_t line, std::string_view what, std::string_view word = {}) {
  if (word.empty()) throw ParseError{fmt::format("PTX line {}: {}", line, what)};
  throw ParseError{fmt::format("PTX line {}: {}: '{}'", line, what, quoted(word))};
}

}  // namespace vgpu::sim::ptx
