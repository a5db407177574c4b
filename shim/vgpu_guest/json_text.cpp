#include "shim/vgpu_guest/json_text.hpp"

#include <cstdio>

namespace vgpu::guest {
namespace {

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char letter : text) {
    if (letter == '"' || letter == '\\') {
      out += '\\';
      out += letter;
    } else if (static_cast<unsigned char>(letter) < 0x20) {
      char code[8];
      std::snprintf(code, sizeof code, "\\u%04x", static_cast<unsigned>(letter));
      out += code;
    } else {
      out += letter;
    }
  }
  return out + "\"";
}

}  // namespace

void JsonText::next(std::string_view name) {
  if (needs_comma_) text_ += ", ";
  needs_comma_ = true;
  if (!name.empty()) text_ += quoted(name) + ": ";
}

JsonText& JsonText::open(std::string_view name, char bracket) {
  next(name);
  text_ += bracket;
  needs_comma_ = false;
  return *this;
}

JsonText& JsonText::close(char bracket) {
  text_ += bracket;
  needs_comma_ = true;
  return *this;
}

JsonText& JsonText::put(std::string_view name, std::string_view literal) {
  next(name);
  text_ += literal;
  return *this;
}

JsonText& JsonText::add(std::string_view name, std::string_view value) { return put(name, quoted(value)); }

}  // namespace vgpu::guest
