#include "worker/sim/exec/builtins.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <cstring>
#include <string>

#include "worker/sim/exec/block.hpp"

namespace vgpu::sim::exec {
namespace {

constexpr std::size_t max_string = 4096;

/// Reads a string that device code passed; stops at the first fault.
std::string read_string(Warp& warp, std::uint32_t lane, std::uint64_t address) {
  std::string out;
  while (out.size() < max_string) {
    const std::byte* at = warp.resolve(lane, address + out.size(), 1, ptx::Space::generic);
    if (at == nullptr || *at == std::byte{0}) break;
    out += static_cast<char>(*at);
  }
  return out;
}

/// The arguments of a printf, packed as the compiler packs them: each at its natural alignment.
class Arguments {
 public:
  Arguments(Warp& warp, std::uint32_t lane, std::uint64_t address) : warp_(warp), lane_(lane), address_(address) {}

  std::uint64_t take(std::uint32_t size) {
    used_ = (used_ + size - 1) / size * size;
    const std::byte* at = warp_.resolve(lane_, address_ + used_, size, ptx::Space::generic);
    used_ += size;
    std::uint64_t value = 0;
    if (at != nullptr) std::memcpy(&value, at, size);
    return value;
  }

 private:
  Warp& warp_;
  std::uint32_t lane_;
  std::uint64_t address_;
  std::uint64_t used_ = 0;
};

/// One conversion specification, cut out of the format: flags and width are kept only as far as they are harmless.
struct Conversion {
  std::string flags;  ///< "%-08.3" without length modifiers
  bool is_long = false;
  char letter = 0;
};

Conversion read_conversion(const std::string& format, std::size_t& at, Arguments& arguments) {
  Conversion conversion;
  conversion.flags = "%";
  std::size_t digits = 0;
  for (; at < format.size(); ++at) {
    const char c = format[at];
    if (std::strchr("-+ #.", c) != nullptr) {
      conversion.flags += c;
      digits = 0;
    } else if (c >= '0' && c <= '9') {
      if (++digits <= 3) conversion.flags += c;
    } else if (c == '*') {
      const auto given = static_cast<std::int32_t>(arguments.take(4)) % 1000;
      // One of them, and no digits behind it: together they would make widths that take seconds to print.
      if (digits == 0) conversion.flags += std::to_string(given);
      digits = 3;
    } else if (c == 'l' || c == 'j' || c == 'z' || c == 't') {
      conversion.is_long = true;
    } else if (c != 'h') {
      conversion.letter = c;
      ++at;
      break;
    }
    if (conversion.flags.size() > 32) break;
  }
  return conversion;
}

template <typename T>
std::string formatted(const std::string& specification, T value) {
  char buffer[1200];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
  const int length = std::snprintf(buffer, sizeof buffer, specification.c_str(), value);
#pragma GCC diagnostic pop
  if (length < 0) return {};
  return std::string(buffer, std::min<std::size_t>(static_cast<std::size_t>(length), sizeof buffer - 1));
}

std::string convert(Warp& warp, std::uint32_t lane, const Conversion& conversion, Arguments& arguments) {
  switch (conversion.letter) {
    case 'd':
    case 'i': {
      const std::uint64_t value = arguments.take(conversion.is_long ? 8 : 4);
      return formatted(conversion.flags + "lld", conversion.is_long
                                                     ? static_cast<long long>(value)
                                                     : static_cast<long long>(static_cast<std::int32_t>(value)));
    }
    case 'u':
    case 'x':
    case 'X':
    case 'o':
      return formatted(conversion.flags + "ll" + conversion.letter,
                       static_cast<unsigned long long>(arguments.take(conversion.is_long ? 8 : 4)));
    case 'c':
      return formatted(conversion.flags + "c", static_cast<int>(arguments.take(4) & 0xff));
    case 'p':
      return fmt::format("{:#x}", arguments.take(8));
    case 's':
      return formatted(conversion.flags + "s", read_string(warp, lane, arguments.take(8)).c_str());
    case 'e':
    case 'E':
    case 'f':
    case 'F':
    case 'g':
    case 'G':
    case 'a':
    case 'A': {
      const std::uint64_t bits = arguments.take(8);
      double value = 0;
      std::memcpy(&value, &bits, sizeof value);
      return formatted(conversion.flags + conversion.letter, value);
    }
    case '%':
      return "%";
    default:
      return {};
  }
}

std::uint64_t print(Warp& warp, std::uint32_t lane, std::uint64_t format_address, std::uint64_t arguments_address) {
  const std::string format = read_string(warp, lane, format_address);
  Arguments arguments(warp, lane, arguments_address);
  std::string out;
  std::uint64_t count = 0;
  for (std::size_t at = 0; at < format.size();) {
    if (format[at] != '%') {
      out += format[at++];
      continue;
    }
    const Conversion conversion = read_conversion(format, ++at, arguments);
    if (conversion.letter != '%') ++count;
    out += convert(warp, lane, conversion, arguments);
  }
  warp.block().running().machine.output.print(out);
  return count;
}

void fail_assertion(Warp& warp, std::uint32_t lane, const std::array<std::uint64_t, 5>& arguments) {
  const std::string message = read_string(warp, lane, arguments[0]);
  const std::string file = read_string(warp, lane, arguments[1]);
  const std::string function = read_string(warp, lane, arguments[3]);
  const Extent& block = warp.block().index();
  const Extent thread = warp.thread_of(lane);
  warp.block().running().machine.output.complain(
      fmt::format("{}:{}: {}: block: [{},{},{}], thread: [{},{},{}] Assertion `{}` failed.\n", file,
                  static_cast<std::uint32_t>(arguments[2]), function, block[0], block[1], block[2], thread[0],
                  thread[1], thread[2], message));
  warp.raise(FaultCode::assertion, "a device-side assertion failed");
}

}  // namespace

std::uint64_t run_builtin(Warp& warp, std::uint32_t lane, ptx::Builtin builtin,
                          const std::array<std::uint64_t, 5>& arguments) {
  switch (builtin) {
    case ptx::Builtin::vprintf:
      return print(warp, lane, arguments[0], arguments[1]);
    case ptx::Builtin::assertfail:
      fail_assertion(warp, lane, arguments);
      return 0;
    // The device heap is always empty: malloc gives null, as it may.
    default:
      return 0;
  }
}

}  // namespace vgpu::sim::exec
