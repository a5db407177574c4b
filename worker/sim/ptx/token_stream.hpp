// Tokens with one token of look-ahead, and the few expectations every part of the parser has.
#pragma once

#include "worker/sim/ptx/lexer.hpp"
#include "worker/sim/ptx/parse_error.hpp"

namespace vgpu::sim::ptx {

class TokenStream {
 public:
  explicit TokenStream(std::string_view text) : lexer_(text) {
    ahead_ = lexer_.next();
    second_ = lexer_.next();
  }

  const Token& peek() const { return ahead_; }
  const Token& peek_second() const { return second_; }
  Token take() {
    Token token = ahead_;
    ahead_ = second_;
    second_ = lexer_.next();
    if (token.kind == TokenKind::bad) fail(token.line, "this cannot be read", token.text);
    return token;
  }
  bool take_if(char mark) {
    if (!ahead_.is(mark)) return false;
    take();
    return true;
  }
  bool take_if(std::string_view word) {
    if (!ahead_.is_word(word)) return false;
    take();
    return true;
  }
  void expect(char mark) {
    const Token token = take();
    if (!token.is(mark)) fail(token.line, fmt::format("'{}' is expected here", mark), token.text);
  }
  std::string_view expect_word(std::string_view what) {
    const Token token = take();
    if (token.kind != TokenKind::word) fail(token.line, fmt::format("{} is expected here", what), token.text);
    return token.text;
  }
  std::uint64_t expect_integer(std::string_view what) {
    const Token token = take();
    if (token.kind != TokenKind::integer) fail(token.line, fmt::format("{} is expected here", what), token.text);
    return token.bits;
  }
  /// Skips what is left of a directive that ends with its line (.loc, .file).
  void skip_line(std::uint32_t line) {
    while (ahead_.kind != TokenKind::end && ahead_.line == line && !ahead_.is('}')) take();
  }
  void skip_past(char mark) {
    for (Token token = take(); !token.is(mark); token = take()) {
      if (token.kind == TokenKind::end) fail(token.line, "the text ends too early");
    }
  }
  std::uint32_t line() const { return ahead_.line; }

 private:
  Lexer lexer_;
  Token ahead_;
  Token second_;
};

}  // namespace vgpu::sim::ptx
