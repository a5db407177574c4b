#include "worker/sim/ptx/declarations.hpp"

#include <bit>
#include <cstring>
#include <unordered_map>

namespace vgpu::sim::ptx {
namespace {

/// Bytes of initialisers one variable may bring.
constexpr std::size_t max_initial_bytes = 64u << 20;

std::uint32_t parse_alignment(TokenStream& tokens) {
  const std::uint32_t line = tokens.line();
  const std::uint64_t align = tokens.expect_integer("an alignment");
  if (align == 0 || align > max_alignment || !std::has_single_bit(align))
    fail(line, "this alignment is no power of two");
  return static_cast<std::uint32_t>(align);
}

}  // namespace

std::optional<Type> type_named(std::string_view word) {
  static const std::unordered_map<std::string_view, Type> names = {
      {"pred", Type::pred},   {"b8", Type::b8},     {"b16", Type::b16},       {"b32", Type::b32}, {"b64", Type::b64},
      {"b128", Type::b128},   {"u8", Type::u8},     {"u16", Type::u16},       {"u32", Type::u32}, {"u64", Type::u64},
      {"s8", Type::s8},       {"s16", Type::s16},   {"s32", Type::s32},       {"s64", Type::s64}, {"f16", Type::f16},
      {"f16x2", Type::f16x2}, {"bf16", Type::bf16}, {"bf16x2", Type::bf16x2}, {"f32", Type::f32}, {"f64", Type::f64},
  };
  if (!word.empty() && word[0] == '.') word.remove_prefix(1);
  const auto found = names.find(word);
  if (found == names.end()) return std::nullopt;
  return found->second;
}

std::uint64_t literal_bits(const Token& token, bool negative, Type type) {
  if (token.kind == TokenKind::integer) {
    const std::uint64_t value = negative ? 0 - token.bits : token.bits;
    const auto as_signed = static_cast<double>(static_cast<std::int64_t>(value));
    if (type == Type::f32) return std::bit_cast<std::uint32_t>(static_cast<float>(as_signed));
    if (type == Type::f64) return std::bit_cast<std::uint64_t>(as_signed);
    return value;
  }
  if (token.kind == TokenKind::float32) {
    const std::uint64_t bits = negative ? token.bits ^ 0x80000000u : token.bits;
    if (type != Type::f64) return bits;
    return std::bit_cast<std::uint64_t>(static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(bits))));
  }
  const std::uint64_t bits = negative ? token.bits ^ 1ull << 63 : token.bits;
  if (type != Type::f32) return bits;
  return std::bit_cast<std::uint32_t>(static_cast<float>(std::bit_cast<double>(bits)));
}

Variable VariableParser::parse(Space space) {
  Variable variable;
  variable.space = space;
  std::uint32_t vector = 1;
  while (tokens_.peek().kind == TokenKind::word && tokens_.peek().text[0] == '.') {
    const Token token = tokens_.take();
    if (token.text == ".align")
      variable.align = parse_alignment(tokens_);
    else if (token.text == ".v2")
      vector = 2;
    else if (token.text == ".v4")
      vector = 4;
    else if (const auto type = type_named(token.text); type && *type != Type::pred)
      element_ = *type;
    else
      fail(token.line, "this declaration is not supported", token.text);
  }
  if (element_ == Type::none) fail(tokens_.line(), "a variable needs a type");
  written_name_ = tokens_.expect_word("the variable's name");
  variable.name = std::string(written_name_);
  variable.size = size_of(element_) * vector;
  variable.align = std::max(variable.align, size_of(element_) * vector);
  parse_dimensions(variable);
  if (tokens_.take_if('=')) parse_initialiser(variable);
  if (open_dimension_) variable.size = variable.initial.size();
  return variable;
}

void VariableParser::parse_dimensions(Variable& variable) {
  while (tokens_.take_if('[')) {
    if (tokens_.take_if(']')) {
      open_dimension_ = true;
      continue;
    }
    const std::uint32_t line = tokens_.line();
    const std::uint64_t count = tokens_.expect_integer("the number of elements");
    tokens_.expect(']');
    if (__builtin_mul_overflow(variable.size, count, &variable.size) || variable.size > max_variable_bytes) {
      fail(line, "this variable is too large");
    }
  }
}

void VariableParser::parse_initialiser(Variable& variable) {
  int depth = 0;
  do {
    while (tokens_.take_if('{')) ++depth;
    if (!tokens_.peek().is('}')) parse_element(variable);
    while (depth > 0 && tokens_.take_if('}')) --depth;
  } while (depth > 0 && tokens_.take_if(','));
  if (depth != 0) fail(tokens_.line(), "'}' is expected here", tokens_.peek().text);
  if (!open_dimension_ && variable.initial.size() > variable.size) fail(tokens_.line(), "too many initial values");
}

void VariableParser::parse_element(Variable& variable) {
  const bool negative = tokens_.take_if('-');
  const Token token = tokens_.take();
  if (token.kind == TokenKind::integer || token.kind == TokenKind::float32 || token.kind == TokenKind::float64) {
    put(variable, literal_bits(token, negative, element_));
    return;
  }
  if (token.kind != TokenKind::word) fail(token.line, "an initial value is expected here", token.text);
  const bool generic = token.text == "generic";
  if (generic) tokens_.expect('(');
  const std::string_view name = generic ? tokens_.expect_word("a name") : token.text;
  if (generic) tokens_.expect(')');
  const auto symbol = find_(name);
  if (!symbol) fail(token.line, "this name is not declared", name);
  if (size_of(element_) != 8) fail(token.line, "an address needs a 64-bit variable", name);
  std::int64_t addend = 0;
  if (tokens_.take_if('+'))
    addend = static_cast<std::int64_t>(tokens_.expect_integer("an offset"));
  else if (tokens_.take_if('-'))
    addend = static_cast<std::int64_t>(0 - tokens_.expect_integer("an offset"));
  variable.relocations.push_back({static_cast<std::uint32_t>(variable.initial.size()), *symbol, addend});
  put(variable, 0);
}

void VariableParser::put(Variable& variable, std::uint64_t bits) {
  const std::size_t at = variable.initial.size();
  if (at + size_of(element_) > max_initial_bytes) fail(tokens_.line(), "too many initial values");
  variable.initial.resize(at + size_of(element_));
  std::memcpy(variable.initial.data() + at, &bits, std::min<std::size_t>(8, size_of(element_)));
}

Parameter parse_parameter(TokenStream& tokens, std::string_view* name) {
  Parameter parameter;
  Type type = Type::none;
  while (tokens.peek().kind == TokenKind::word && tokens.peek().text[0] == '.') {
    const Token token = tokens.take();
    if (token.text == ".align")
      parameter.align = std::max(parameter.align, parse_alignment(tokens));
    else if (const auto named = type_named(token.text); named && size_of(*named) != 0)
      type = *named;
    else if (token.text != ".ptr" && token.text != ".global" && token.text != ".shared" && token.text != ".local" &&
             token.text != ".const")
      fail(token.line, "this parameter is not supported", token.text);
  }
  if (type == Type::none) fail(tokens.line(), "a parameter needs a type");
  const std::string_view written = tokens.expect_word("the parameter's name");
  if (name != nullptr) *name = written;
  parameter.name = std::string(written);
  std::uint64_t size = size_of(type);
  parameter.align = std::max(parameter.align, size_of(type));
  if (tokens.take_if('[')) {
    const std::uint32_t line = tokens.line();
    const std::uint64_t count = tokens.peek().is(']') ? 0 : tokens.expect_integer("the number of elements");
    tokens.expect(']');
    if (count > max_parameter_bytes) fail(line, "this parameter is too large");
    size *= count;
  }
  if (size > max_parameter_bytes) fail(tokens.line(), "this parameter is too large");
  parameter.size = static_cast<std::uint32_t>(size);
  return parameter;
}

std::uint32_t parse_parameters(TokenStream& tokens, std::uint32_t begin, std::vector<Parameter>& out) {
  tokens.expect('(');
  std::uint64_t end = begin;
  if (tokens.take_if(')')) return begin;
  do {
    const Token head = tokens.take();
    if (head.is_word(".reg")) fail(head.line, "functions with register parameters are not supported");
    if (!head.is_word(".param")) fail(head.line, "'.param' is expected here", head.text);
    Parameter parameter = parse_parameter(tokens);
    parameter.offset = static_cast<std::uint32_t>(align_up(end, parameter.align));
    end = parameter.offset + parameter.size;
    if (end > max_parameter_bytes) fail(tokens.line(), "the parameters are too large");
    out.push_back(std::move(parameter));
  } while (tokens.take_if(','));
  tokens.expect(')');
  return static_cast<std::uint32_t>(end);
}

}  // namespace vgpu::sim::ptx
