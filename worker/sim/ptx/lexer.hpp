// Splits PTX text into tokens. Never reads outside the text; text it cannot split ends in a token of kind `bad`.
#pragma once

#include <cstdint>
#include <string_view>

namespace vgpu::sim::ptx {

enum class TokenKind : std::uint8_t { end, word, integer, float32, float64, string, punctuation, bad };

struct Token {
  TokenKind kind = TokenKind::end;
  std::string_view text;   ///< as written; of a string, what is between the quotes
  std::uint64_t bits = 0;  ///< an integer's value, or the bit pattern of a floating-point literal
  std::uint32_t line = 0;

  bool is(char mark) const { return kind == TokenKind::punctuation && text[0] == mark; }
  bool is_word(std::string_view word) const { return kind == TokenKind::word && text == word; }
};

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  /// The next token; `end` for ever after the last one.
  Token next();

 private:
  void skip_space_and_comments();
  Token make(TokenKind kind, std::size_t begin, std::size_t end, std::uint64_t bits = 0) const;
  Token number();
  Token float_bits(std::size_t digits, TokenKind kind);
  Token decimal_float(std::size_t begin);
  Token integer(std::size_t begin, std::size_t digits_at, int base);
  char at(std::size_t index) const { return index < text_.size() ? text_[index] : '\0'; }

  std::string_view text_;
  std::size_t pos_ = 0;
  std::uint32_t line_ = 1;
};

}  // namespace vgpu::sim::ptx
