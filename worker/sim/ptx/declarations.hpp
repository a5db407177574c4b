// Declarations shared by module level and function bodies: types, arrays, initialisers, parameters.
#pragma once

#include <functional>
#include <optional>

#include "worker/sim/ptx/module.hpp"
#include "worker/sim/ptx/token_stream.hpp"

namespace vgpu::sim::ptx {

/// The type behind a word like ".u32" or "u32"; nothing if it names none.
std::optional<Type> type_named(std::string_view word);

/// A value of type `type` with the bit pattern that the literal `token` has in it.
std::uint64_t literal_bits(const Token& token, bool negative, Type type);

/// Finds a variable or function by name, for initialisers.
using SymbolFinder = std::function<std::optional<SymbolReference>(std::string_view)>;

/// Parses what follows the state space of a variable: alignment, type, name, dimensions, initialiser, up to the ',' or
/// ';'.
class VariableParser {
 public:
  VariableParser(TokenStream& tokens, SymbolFinder find) : tokens_(tokens), find_(std::move(find)) {}

  Variable parse(Space space);
  /// The name as a view of the text.
  std::string_view written_name() const { return written_name_; }

 private:
  void parse_dimensions(Variable& variable);
  void parse_initialiser(Variable& variable);
  void parse_element(Variable& variable);
  void put(Variable& variable, std::uint64_t bits);

  TokenStream& tokens_;
  SymbolFinder find_;
  std::string_view written_name_;
  Type element_ = Type::none;
  bool open_dimension_ = false;
};

/// Parses "( .param ... , ... )", giving every parameter its offset from `begin` on. Returns the end offset.
std::uint32_t parse_parameters(TokenStream& tokens, std::uint32_t begin, std::vector<Parameter>& out);
/// Parses "[.align N] .type name[size]" after ".param"; the offset is left 0. `name`, if given, becomes a view of the
/// text.
Parameter parse_parameter(TokenStream& tokens, std::string_view* name = nullptr);

/// Bounds on what a module may declare.
constexpr std::uint64_t max_variable_bytes = 1ull << 40;
constexpr std::uint32_t max_parameter_bytes = 32764;
constexpr std::uint32_t max_call_bytes = 1u << 18;
constexpr std::uint32_t max_alignment = 1u << 16;

inline std::uint64_t align_up(std::uint64_t value, std::uint64_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

}  // namespace vgpu::sim::ptx
