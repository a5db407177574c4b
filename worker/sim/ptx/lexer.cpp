#include "worker/sim/ptx/lexer.hpp"

#include <bit>
#include <cstdlib>
#include <string>

namespace vgpu::sim::ptx {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_alpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool starts_word(char c) { return is_alpha(c) || c == '_' || c == '$' || c == '%' || c == '.'; }
bool continues_word(char c) { return starts_word(c) || is_digit(c); }

int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

constexpr std::size_t longest_decimal_literal = 64;

}  // namespace

Token Lexer::make(TokenKind kind, std::size_t begin, std::size_t end, std::uint64_t bits) const {
  return {kind, text_.substr(begin, end - begin), bits, line_};
}

void Lexer::skip_space_and_comments() {
  while (pos_ < text_.size()) {
    const char c = text_[pos_];
    if (c == '\n') {
      ++line_;
      ++pos_;
    } else if (c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v') {
      ++pos_;
    } else if (c == '/' && at(pos_ + 1) == '/') {
      while (pos_ < text_.size() && text_[pos_] != '\n') ++pos_;
    } else if (c == '/' && at(pos_ + 1) == '*') {
      pos_ += 2;
      while (pos_ < text_.size() && !(text_[pos_] == '*' && at(pos_ + 1) == '/')) {
        if (text_[pos_] == '\n') ++line_;
        ++pos_;
      }
      pos_ = pos_ + 2 < text_.size() ? pos_ + 2 : text_.size();
    } else {
      return;
    }
  }
}

Token Lexer::next() {
  skip_space_and_comments();
  if (pos_ >= text_.size()) return make(TokenKind::end, text_.size(), text_.size());
  const std::size_t begin = pos_;
  const char c = text_[pos_];
  if (is_digit(c)) return number();
  if (starts_word(c)) {
    while (pos_ < text_.size() && (continues_word(text_[pos_]) || (text_[pos_] == ':' && at(pos_ + 1) == ':'))) {
      pos_ += text_[pos_] == ':' ? 2 : 1;
    }
    return make(TokenKind::word, begin, pos_);
  }
  if (c == '"') {
    ++pos_;
    while (pos_ < text_.size() && text_[pos_] != '"' && text_[pos_] != '\n') ++pos_;
    if (at(pos_) != '"') return make(TokenKind::bad, begin, pos_);
    ++pos_;
    return make(TokenKind::string, begin + 1, pos_ - 1);
  }
  ++pos_;
  constexpr std::string_view marks = "(){}[]<>,;:=+-*/!~@|&^?";
  return make(marks.find(c) == std::string_view::npos ? TokenKind::bad : TokenKind::punctuation, begin, pos_);
}

Token Lexer::number() {
  const std::size_t begin = pos_;
  const char second = at(pos_ + 1);
  if (text_[pos_] == '0') {
    if (second == 'x' || second == 'X') return integer(begin, begin + 2, 16);
    if (second == 'f' || second == 'F') return float_bits(8, TokenKind::float32);
    if (second == 'd' || second == 'D') return float_bits(16, TokenKind::float64);
    if (second == 'b' || second == 'B') return integer(begin, begin + 2, 2);
  }
  std::size_t end = pos_;
  while (is_digit(at(end))) ++end;
  if (at(end) == '.' || at(end) == 'e' || at(end) == 'E') return decimal_float(begin);
  return integer(begin, begin, text_[begin] == '0' && end > begin + 1 ? 8 : 10);
}

Token Lexer::float_bits(std::size_t digits, TokenKind kind) {
  const std::size_t begin = pos_;
  pos_ += 2;
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < digits; ++i, ++pos_) {
    const int digit = hex_value(at(pos_));
    if (digit < 0) return make(TokenKind::bad, begin, pos_);
    bits = bits << 4 | static_cast<std::uint64_t>(digit);
  }
  return make(kind, begin, pos_, bits);
}

Token Lexer::decimal_float(std::size_t begin) {
  while (is_digit(at(pos_)) || at(pos_) == '.') ++pos_;
  if (at(pos_) == 'e' || at(pos_) == 'E') {
    ++pos_;
    if (at(pos_) == '+' || at(pos_) == '-') ++pos_;
    while (is_digit(at(pos_))) ++pos_;
  }
  if (pos_ - begin > longest_decimal_literal) return make(TokenKind::bad, begin, pos_);
  const std::string digits(text_.substr(begin, pos_ - begin));
  return make(TokenKind::float64, begin, pos_, std::bit_cast<std::uint64_t>(std::strtod(digits.c_str(), nullptr)));
}

Token Lexer::integer(std::size_t begin, std::size_t digits_at, int base) {
  pos_ = digits_at;
  std::uint64_t value = 0;
  bool overflow = false;
  for (int digit = hex_value(at(pos_)); digit >= 0; digit = hex_value(at(++pos_))) {
    if (digit >= base) return make(TokenKind::bad, begin, pos_ + 1);
    std::uint64_t scaled = 0;
    overflow |= __builtin_mul_overflow(value, static_cast<std::uint64_t>(base), &scaled);
    overflow |= __builtin_add_overflow(scaled, static_cast<std::uint64_t>(digit), &value);
  }
  if (pos_ == digits_at || overflow) return make(TokenKind::bad, begin, pos_);
  if (at(pos_) == 'U') ++pos_;
  return make(TokenKind::integer, begin, pos_, value);
}

}  // namespace vgpu::sim::ptx
