// The environment allow-list. First byte 0: the rest is an environment, its entries ended by zeros, to be packed; what
// is packed must be unpacked as it was. Else: the rest is the field as it came in a hello; what is taken from it must
// be allowed, and pack to the same again.
#include "common/control/environment.hpp"

#include <cstdlib>
#include <cstring>

#include "tests/fuzz/input.hpp"

namespace {

using namespace vgpu::control;

/// An entry's first byte may stand for the name of an allowed variable.
std::string entry_of(std::string_view text) {
  const auto names = allowed_environment();
  const size_t first = text.empty() ? names.size() : static_cast<unsigned char>(text.front());
  if (first >= names.size()) return std::string(text);
  return std::string(names[first]) + "=" + std::string(text.substr(1));
}

std::vector<std::string> entries_of(std::string_view text) {
  std::vector<std::string> entries;
  while (!text.empty()) {
    const auto end = text.find('\xff');
    entries.push_back(entry_of(text.substr(0, end)));
    text.remove_prefix(end == text.npos ? text.size() : end + 1);
  }
  return entries;
}

bool pack(const std::vector<std::string>& entries, Hello& hello) {
  std::vector<const char*> environment;
  for (const auto& entry : entries) environment.push_back(entry.c_str());
  environment.push_back(nullptr);
  return static_cast<bool>(pack_environment(environment.data(), hello));
}

void pack_and_unpack(std::string_view text) {
  const auto entries = entries_of(text);
  Hello hello;
  if (!pack(entries, hello)) return;
  const auto unpacked = unpack_environment(hello);
  if (!unpacked) std::abort();  // the broker refuses what the client's side has made
  std::vector<std::string> allowed;
  for (const auto& entry : entries) {
    const std::string written(entry.c_str());
    if (is_allowed_environment(written.substr(0, written.find('=')))) allowed.push_back(written);
  }
  if (*unpacked != allowed) std::abort();
}

void unpack_and_pack(uint32_t size, std::string_view text) {
  Hello hello;
  hello.environment_size = size;
  std::memcpy(hello.environment.data(), text.data(), std::min(text.size(), hello.environment.size()));
  const auto unpacked = unpack_environment(hello);
  if (!unpacked) return;
  for (const auto& entry : *unpacked)
    if (!is_allowed_environment(std::string_view(entry).substr(0, entry.find('=')))) std::abort();
  Hello again;
  if (!pack(*unpacked, again) || again.environment != hello.environment) {
    // Bytes behind the used ones may differ; nothing else.
    if (again.environment_size != size || std::memcmp(again.environment.data(), text.data(), size) != 0) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  vgpu::fuzz::Input input(data, size);
  const uint8_t what = input.byte();
  if (what == 0) {
    pack_and_unpack(input.text());
    return 0;
  }
  const uint32_t lie = input.byte();
  const auto text = input.text();
  unpack_and_pack(static_cast<uint32_t>(text.size()) + (lie >= 0xf0 ? lie << 8 : 0), text);
  return 0;
}
